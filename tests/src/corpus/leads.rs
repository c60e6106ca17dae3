//! Lists of invented leads in the layout of the public sample.

/// The headers of the sample layout.
pub const LEAD_HEADERS: [&str; 14] = [
    "Index",
    "Account Id",
    "Lead Owner",
    "First Name",
    "Last Name",
    "Company",
    "Phone 1",
    "Phone 2",
    "Email 1",
    "Email 2",
    "Website",
    "Source",
    "Deal Stage",
    "Notes",
];

const FIRST: [&str; 40] = [
    "Amara", "Benedikt", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ingrid", "Jonas",
    "Kavya", "Lars", "Maren", "Noor", "Oskar", "Priya", "Quentin", "Rosa", "Stefan", "Tamsin",
    "Ulrike", "Viktor", "Wanda", "Xavier", "Yusuf", "Zelda", "Aoife", "Bruno", "Celia", "Dario",
    "Esme", "Felix", "Gwen", "Hassan", "Imani", "Joao", "Klara", "Leif", "Mina", "Nadia",
];
const LAST: [&str; 40] = [
    "Abernathy",
    "Brandt",
    "Castellan",
    "Drummond",
    "Eklund",
    "Fairweather",
    "Gallagher",
    "Hollis",
    "Ivanova",
    "Jansen",
    "Kowalczyk",
    "Lindqvist",
    "Marchetti",
    "Nakamura",
    "Okafor",
    "Pemberton",
    "Quillfeather",
    "Rasmussen",
    "Silvestri",
    "Thackeray",
    "Umarov",
    "Vandermeer",
    "Whitlock",
    "Xanthos",
    "Yilmaz",
    "Zielinski",
    "Ashdown",
    "Bellweather",
    "Croft",
    "Dunmore",
    "Ellery",
    "Fenwick",
    "Greaves",
    "Hartigan",
    "Isherwood",
    "Jessop",
    "Kingsley",
    "Larkspur",
    "Merriweather",
    "Northcote",
];
const TRADES: [&str; 16] = [
    "Tools",
    "Textiles",
    "Logistics",
    "Foods",
    "Optics",
    "Ceramics",
    "Marine",
    "Seeds",
    "Paper",
    "Glass",
    "Robotics",
    "Freight",
    "Dental",
    "Roofing",
    "Printing",
    "Analytics",
];
const FORMS: [&str; 6] = ["Inc", "LLC", "Ltd", "GmbH", "and Sons", "Group"];
const TOPS: [&str; 6] = ["com", "net", "org", "info", "biz", "io"];
const SOURCES: [&str; 7] = [
    "LinkedIn Outreach",
    "Cold Call",
    "Referral",
    "Networking Event",
    "Website Form",
    "Partner Program",
    "Trade Show",
];
const STAGES: [&str; 7] = [
    "On Hold",
    "Re-engagement",
    "Closed Won",
    "Closed Lost",
    "Proposal Sent",
    "Negotiation",
    "New",
];
const NOTE_WORDS: [&str; 24] = [
    "asked", "for", "a", "quote", "on", "bulk", "orders", "and", "prefers", "mornings", "met",
    "at", "the", "fair", "wants", "samples", "before", "spring", "budget", "open", "until", "next",
    "quarter", "call",
];

/// splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from[at]
    }
}

/// Rows of cells of `n` leads; equal for equal seeds.
pub fn lead_rows(n: usize, seed: u64) -> Vec<Vec<String>> {
    let mut random = Random(seed);
    (1..=n).map(|index| lead(index, &mut random)).collect()
}

/// A CSV file of `n` leads: UTF-8, commas, CRLF, quotes where needed.
pub fn leads(n: usize, seed: u64) -> String {
    let headers = LEAD_HEADERS.map(str::to_owned).to_vec();
    let mut file = String::new();
    for row in std::iter::once(headers).chain(lead_rows(n, seed)) {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
        file.push_str(&cells.join(","));
        file.push_str("\r\n");
    }
    file
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn lead(index: usize, random: &mut Random) -> Vec<String> {
    let (first, last) = (random.pick(&FIRST), random.pick(&LAST));
    let company = company(random);
    let domain = domain(&company, random);
    vec![
        index.to_string(),
        account_id(random),
        format!("{} {}", random.pick(&FIRST), random.pick(&LAST)),
        first.to_owned(),
        last.to_owned(),
        company,
        phone(random),
        phone(random),
        // The index makes each address unique: a list without duplicates.
        format!("{}.{}{index}@{domain}", first.to_lowercase(), last.to_lowercase()),
        format!(
            "{}{}.{index}@{}",
            random.pick(&LAST).to_lowercase(),
            random.below(100),
            any_domain(random)
        ),
        format!("https://www.{domain}/"),
        random.pick(&SOURCES).to_owned(),
        random.pick(&STAGES).to_owned(),
        note(random),
    ]
}

fn company(random: &mut Random) -> String {
    let (one, two) = (random.pick(&LAST), random.pick(&LAST));
    match random.below(4) {
        0 => format!("{one}, {two} and {}", random.pick(&LAST)),
        1 => format!("{one}-{two}"),
        _ => format!("{one} {} {}", random.pick(&TRADES), random.pick(&FORMS)),
    }
}

/// Half of the domains are reserved for examples, half look like companies and are invented.
fn domain(company: &str, random: &mut Random) -> String {
    if random.below(2) == 0 {
        return format!("example.{}", random.pick(&["com", "net", "org"]));
    }
    let name: String = company.chars().filter(char::is_ascii_alphabetic).collect();
    format!("{}.{}", name.to_lowercase(), random.pick(&TOPS))
}

fn any_domain(random: &mut Random) -> String {
    let company = company(random);
    domain(&company, random)
}

fn account_id(random: &mut Random) -> String {
    (0..15)
        .map(|_| {
            let digit = random.pick(&[
                "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f",
            ]);
            if random.below(2) == 0 { digit.to_uppercase() } else { digit.to_owned() }
        })
        .collect()
}

/// North American numbers in the forms people type, with and without extension.
fn phone(random: &mut Random) -> String {
    let area = 201 + random.below(789);
    let exchange = 200 + random.below(800);
    let line = format!("{:04}", random.below(10_000));
    let number = match random.below(6) {
        0 => format!("{area}{exchange}{line}"),
        1 => format!("{area}-{exchange}-{line}"),
        2 => format!("{area}.{exchange}.{line}"),
        3 => format!("({area}){exchange}-{line}"),
        4 => format!("001-{area}-{exchange}-{line}"),
        _ => format!("+1-{area}-{exchange}-{line}"),
    };
    match random.below(5) {
        0 | 1 => format!("{number}x{:03}", random.below(1_000)),
        2 => format!("{number}x{:05}", random.below(100_000)),
        _ => number,
    }
}

fn note(random: &mut Random) -> String {
    let words: Vec<&str> = (0..4 + random.below(9)).map(|_| random.pick(&NOTE_WORDS)).collect();
    let mut note = words.join(" ");
    if let Some(first) = note.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    note + "."
}
