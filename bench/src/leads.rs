//! Generated leads: twelve text fields, about 310 bytes, every e-mail and phone its own.
//!
//! A function of a seed and a number, so that two runs import the same bytes. The people do not exist:
//! names come from short lists, domains end in `.example`.

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;

/// Header of the file, as a CRM writes it.
const HEADER: &str = "First Name,Last Name,Email,Phone,Company,Website,Job Title,City,Country,\
                      Lead Source,Lead Owner,Notes\n";
/// Bytes of one piece of a body.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces made ahead of what the server has taken.
const PIECES_AHEAD: usize = 16;
/// Companies: about fifty leads share a domain in a file of a million.
const COMPANIES: u64 = 20_000;

const FIRST: [&str; 8] = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Ken"];
const LAST: [&str; 8] =
    ["Quine", "Hofstadt", "Lindgren", "Marchetti", "Okafor", "Petrov", "Silva", "Tanaka"];
const TITLE: [&str; 4] =
    ["Head of Procurement", "Regional Sales Manager", "Operations Lead", "Chief Buyer"];
const CITY: [&str; 4] = ["Springfield", "Riverside", "Fairview", "Georgetown"];
const AREA: [&str; 8] = ["212", "312", "415", "617", "206", "303", "512", "404"];
const NOTE: &str = "Met at the spring fair and asked for a quote on two hundred units with delivery \
                    before the end of the quarter";

/// One lead.
#[derive(Debug, Clone)]
pub(crate) struct Lead {
    /// Texts in the order of the header.
    pub(crate) cells: [String; 12],
}

/// Lead `n` of a seed.
pub(crate) fn lead(seed: u64, n: u64) -> Lead {
    let random = mix(seed ^ mix(n));
    let company = random % COMPANIES;
    let (first, last) = (pick(&FIRST, random >> 8), pick(&LAST, random >> 16));
    let domain = format!("company{company}.example");
    // Seven digits behind the area code; the exchange begins with 2 to 9 and does not end in 11.
    let line = n % 10_000;
    let exchange = 220 + (n / 10_000) % 80 + 100 * ((n / 800_000) % 7);
    Lead {
        cells: [
            first.to_owned(),
            last.to_owned(),
            format!("{}.{}.{seed:x}.{n}@{domain}", first.to_lowercase(), last.to_lowercase()),
            format!("+1{}{exchange}{line:04}", pick(&AREA, seed)),
            format!("Company {company} Industries Incorporated"),
            format!("https://www.{domain}/"),
            pick(&TITLE, random >> 24).to_owned(),
            pick(&CITY, random >> 32).to_owned(),
            "United States".to_owned(),
            "Trade Fair".to_owned(),
            "Morgan Example".to_owned(),
            NOTE.to_owned(),
        ],
    }
}

/// A CSV file of leads `0..count`, made as it is sent.
pub(crate) fn csv(seed: u64, count: u64) -> impl Stream<Item = Bytes> + Send + 'static {
    let (pieces, mut taken) = mpsc::channel::<Bytes>(PIECES_AHEAD);
    // It ends with the last lead, or when the receiver is gone.
    tokio::task::spawn_blocking(move || {
        let mut piece = String::with_capacity(PIECE_BYTES + 1_024);
        piece.push_str(HEADER);
        for n in 0..count {
            piece.push_str(&lead(seed, n).cells.join(","));
            piece.push('\n');
            if piece.len() >= PIECE_BYTES {
                let full = Bytes::from(std::mem::take(&mut piece));
                if pieces.blocking_send(full).is_err() {
                    return;
                }
                piece.reserve(PIECE_BYTES + 1_024);
            }
        }
        // Whoever is gone does not want the rest.
        drop(pieces.blocking_send(Bytes::from(piece)));
    });
    futures::stream::poll_fn(move |context| taken.poll_recv(context))
}

fn pick<'a>(words: &[&'a str], random: u64) -> &'a str {
    let len = words.len().max(1) as u64;
    usize::try_from(random % len).ok().and_then(|at| words.get(at)).copied().unwrap_or_default()
}

/// SplitMix64: neighbouring numbers give unlike ones.
pub(crate) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::StreamExt as _;

    use super::*;

    #[test]
    fn a_lead_has_about_310_bytes_and_its_own_email_and_phone() {
        let leads: Vec<Lead> = (0..20_000).chain(900_000..910_000).map(|n| lead(7, n)).collect();
        let bytes: usize = leads.iter().flat_map(|l| l.cells.iter().map(String::len)).sum();
        let mean = bytes / leads.len();
        assert!((280..=340).contains(&mean), "{mean}");
        for column in [2, 3] {
            let values: BTreeSet<&String> = leads.iter().map(|l| &l.cells[column]).collect();
            assert_eq!(values.len(), leads.len());
        }
    }

    #[tokio::test]
    async fn a_file_has_a_header_and_a_line_for_each_lead() {
        let pieces: Vec<Bytes> = csv(1, 1_000).collect().await;
        let text = String::from_utf8(pieces.concat()).unwrap();
        assert_eq!(text.lines().count(), 1_001);
        assert!(text.lines().all(|line| line.split(',').count() == 12));
    }
}
