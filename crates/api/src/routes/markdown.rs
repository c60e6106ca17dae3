//! The little Markdown that `docs/ERRORS.md` is written in, as HTML: headings, paragraphs, lists, tables,
//! fenced code; inline code, emphasis and links. The text is ours, so what it does not know it prints.
//!
//! One tag is known: `<a id="CODE"></a>`, so that `/docs/errors#CODE` finds its row.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Lines;

/// The body of a page.
pub(super) fn to_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_end();
        if line.starts_with("```") {
            code_block(&mut lines, &mut html);
        } else if line.starts_with('|') {
            table(line, &mut lines, &mut html);
        } else if let Some(item) = list_item(line) {
            list(item, &mut lines, &mut html);
        } else if line.starts_with('#') {
            heading(line, &mut html);
        } else if !line.is_empty() {
            paragraph(line, &mut lines, &mut html);
        }
    }
    html
}

fn heading(line: &str, html: &mut String) {
    let level = line.bytes().take_while(|b| *b == b'#').count().min(6);
    let text = line.trim_matches('#').trim();
    let _ = write!(html, "<h{level}>{}</h{level}>", inline(text));
}

fn paragraph(first: &str, lines: &mut Peekable<Lines<'_>>, html: &mut String) {
    let mut text = first.to_owned();
    while let Some(next) = lines.next_if(|l| !starts_block(l)) {
        text.push(' ');
        text.push_str(next.trim());
    }
    let _ = write!(html, "<p>{}</p>", inline(&text));
}

fn starts_block(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with(['#', '|', '`']) || list_item(line).is_some()
}

fn list_item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("- ").or_else(|| line.strip_prefix("* "))
}

fn list(first: &str, lines: &mut Peekable<Lines<'_>>, html: &mut String) {
    html.push_str("<ul>");
    let _ = write!(html, "<li>{}</li>", inline(first));
    while let Some(line) = lines.next_if(|l| list_item(l).is_some()) {
        let _ = write!(html, "<li>{}</li>", inline(list_item(line).unwrap_or_default()));
    }
    html.push_str("</ul>");
}

fn code_block(lines: &mut Peekable<Lines<'_>>, html: &mut String) {
    html.push_str("<pre><code>");
    for line in lines.take_while(|l| !l.starts_with("```")) {
        let _ = writeln!(html, "{}", escape(line));
    }
    html.push_str("</code></pre>");
}

fn table(head: &str, lines: &mut Peekable<Lines<'_>>, html: &mut String) {
    html.push_str("<table><thead><tr>");
    for cell in cells(head) {
        let _ = write!(html, "<th>{}</th>", inline(&cell));
    }
    html.push_str("</tr></thead><tbody>");
    while let Some(row) = lines.next_if(|l| l.starts_with('|')) {
        if row.bytes().all(|b| b"|-: ".contains(&b)) {
            continue;
        }
        html.push_str("<tr>");
        for cell in cells(row) {
            let _ = write!(html, "<td>{}</td>", inline(&cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
}

/// The cells of a row; `\|` is a bar inside a cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{1}");
    row.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// Escaped text, with `<a id="NAME"></a>` kept as what it is.
fn anchored(text: &str) -> String {
    const BEGIN: &str = "<a id=\"";
    const END: &str = "\"></a>";
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        html.push_str(&escape(before));
        match after.split_once(END) {
            Some((name, tail)) if is_name(name) => {
                let _ = write!(html, "{BEGIN}{name}{END}");
                rest = tail;
            }
            _ => {
                html.push_str(&escape(BEGIN));
                rest = after;
            }
        }
    }
    html + &escape(rest)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Inline code, strong text and links; everything else is escaped.
fn inline(text: &str) -> String {
    text.split('`').enumerate().fold(String::new(), |mut html, (n, part)| {
        let _ = match n % 2 {
            1 => write!(html, "<code>{}</code>", escape(part)),
            _ => {
                write!(html, "{}", links(&between(&between(&anchored(part), "**", "b"), "*", "i")))
            }
        };
        html
    })
}

/// Wraps every second part between the marks; marks that have no partner are text.
fn between(escaped: &str, mark: &str, tag: &str) -> String {
    if escaped.matches(mark).count() % 2 == 1 {
        return escaped.to_owned();
    }
    escaped.split(mark).enumerate().fold(String::new(), |mut html, (n, part)| {
        let _ = match n % 2 {
            1 => write!(html, "<{tag}>{part}</{tag}>"),
            _ => write!(html, "{part}"),
        };
        html
    })
}

/// `[text](target)`, where the target stays on this server.
fn links(escaped: &str) -> String {
    let mut html = String::new();
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(text, t)| Some((text, t.split_once(')')?)));
        html.push_str(before);
        match link {
            Some((text, (target, tail))) if target.starts_with(['#', '/']) => {
                let _ = write!(html, "<a href=\"{target}\">{text}</a>");
                rest = tail;
            }
            Some((text, (_, tail))) => {
                html.push_str(text);
                rest = tail;
            }
            None => {
                html.push('[');
                rest = after;
            }
        }
    }
    html + rest
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_kept_and_no_other_tag() {
        let html = to_html("<a id=\"api\"></a>\n## API\n");
        assert_eq!(html, "<p><a id=\"api\"></a></p><h2>API</h2>");
        let row = "| code | when |\n|---|---|\n| <a id=\"a_b\"></a>`a_b` | x \\| y |\n";
        let html = to_html(row);
        assert!(html.contains("<td><a id=\"a_b\"></a><code>a_b</code></td>"), "{html}");
        assert!(html.contains("<td>x | y</td>"), "{html}");
        for other in ["<a id=\"\"></a>", "<a id=\"x y\"></a>", "<a id=\"x\" onclick=\"y\"></a>"] {
            assert!(!to_html(other).contains("<a"), "{other}");
        }
    }

    #[test]
    fn text_is_escaped_and_links_stay_here() {
        let html = to_html("A <b> & **c** *i* * `<d>` [e](#f) [g](https://example.com)\nnext [h\n");
        assert_eq!(to_html("*i* **b**"), "<p><i>i</i> <b>b</b></p>");
        assert_eq!(
            html,
            "<p>A &lt;b&gt; &amp; <b>c</b> *i* * <code>&lt;d&gt;</code> <a href=\"#f\">e</a> g next [h</p>"
        );
    }

    #[test]
    fn lists_and_code_blocks_are_kept_apart() {
        assert_eq!(to_html("- a\n- b\n\ntext"), "<ul><li>a</li><li>b</li></ul><p>text</p>");
        assert_eq!(to_html("```\n| a |\n```\n"), "<pre><code>| a |\n</code></pre>");
    }
}
