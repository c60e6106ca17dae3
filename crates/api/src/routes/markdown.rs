//! The little Markdown that `docs/ERRORS.md` is written in, as HTML: headings, paragraphs, lists, tables,
//! fenced code; inline code, emphasis and links. The text is ours, so what it does not know it prints.
//!
//! Every code that stands in a heading or in the first cell of a row becomes an anchor, so that
//! `/docs/errors#CODE` finds it.

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
    let _ = write!(html, "<h{level}>{}{}</h{level}>", anchors(text), inline(text));
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
        for (column, cell) in cells(row).into_iter().enumerate() {
            let anchors = if column == 0 { anchors(&cell) } else { String::new() };
            let _ = write!(html, "<td>{anchors}{}</td>", inline(&cell));
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

/// An anchor for each code in a text: every `code span`, or the text itself where it has none.
fn anchors(text: &str) -> String {
    let spans: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    let names = if spans.is_empty() { vec![text] } else { spans };
    let names = names.into_iter().filter(|name| is_code(name));
    names.fold(String::new(), |mut html, name| {
        let _ = write!(html, "<span id=\"{name}\"></span>");
        html
    })
}

fn is_code(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Inline code, strong text and links; everything else is escaped.
fn inline(text: &str) -> String {
    text.split('`').enumerate().fold(String::new(), |mut html, (n, part)| {
        let _ = match n % 2 {
            1 => write!(html, "<code>{}</code>", escape(part)),
            _ => write!(html, "{}", links(&strong(&escape(part)))),
        };
        html
    })
}

fn strong(escaped: &str) -> String {
    escaped.split("**").enumerate().fold(String::new(), |mut html, (n, part)| {
        let _ = if n % 2 == 1 { write!(html, "<b>{part}</b>") } else { write!(html, "{part}") };
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
    fn rows_and_headings_become_anchors() {
        let html = to_html(
            "# Errors\n\n### `not_found`\n\n| code | when |\n|---|---|\n| `a_b`, `C` | x \\| y |\n| plain | z |\n",
        );
        for id in ["not_found", "a_b", "C", "plain"] {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}: {html}");
        }
        assert!(html.contains("<td>x | y</td>"), "{html}");
    }

    #[test]
    fn text_is_escaped_and_links_stay_here() {
        let html = to_html("A <b> & **c** `<d>` [e](#f) [g](https://example.com)\nnext [h\n");
        assert_eq!(
            html,
            "<p>A &lt;b&gt; &amp; <b>c</b> <code>&lt;d&gt;</code> <a href=\"#f\">e</a> g next [h</p>"
        );
    }

    #[test]
    fn lists_and_code_blocks_are_kept_apart() {
        assert_eq!(to_html("- a\n- b\n\ntext"), "<ul><li>a</li><li>b</li></ul><p>text</p>");
        assert_eq!(to_html("```\n| a |\n```\n"), "<pre><code>| a |\n</code></pre>");
    }
}
