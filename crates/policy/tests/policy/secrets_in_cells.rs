//! Card and government numbers in cells.

use leadvault_policy::{RowCode, card, government_id};

#[test]
fn card_numbers_are_found_with_and_without_separators() {
    // The numbers the schemes and their processors publish for tests.
    for cell in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4222222222222",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "6200000000000005",
        "paid with 4111 1111 1111 1111, thanks",
        "card:4111111111111111.",
    ] {
        assert_eq!(card::check(cell), Some(RowCode::CardNumber), "{cell}");
    }
}

#[test]
fn other_long_numbers_are_let_through() {
    for cell in [
        "4111111111111112",
        "001-084-906-7849x73518",
        "+49 30 901820 12345",
        "917-584-0243x4606",
        "0000000000000000",
        "1234567890123",
        "9999999999999995",
        "411111111111",
        "41111111111111111111",
        "A4111111111111111",
        "4111  1111  1111  1111",
        "2FCBFE58CC70308",
        "",
    ] {
        assert_eq!(card::check(cell), None, "{cell}");
    }
}

#[test]
fn government_numbers_of_the_four_known_forms_are_found() {
    for cell in [
        "219-09-9999",
        "SSN: 219-09-9999.",
        "912-70-1234",
        "AB123456C",
        "AB 12 34 56 C",
        "nino AB123456C please",
        "2341 2341 2346",
    ] {
        assert_eq!(government_id::check(cell), Some(RowCode::GovernmentId), "{cell}");
    }
}

#[test]
fn what_only_resembles_one_is_let_through() {
    for cell in [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "219-00-9999",
        "219-09-0000",
        "219099999",
        "219 09 9999",
        "1219-09-9999",
        "219-09-9999-1",
        "GB123456C",
        "QQ123456C",
        "AB123456E",
        "AB12345C",
        "2341 2341 2345",
        "1341 2341 2346",
        "369.329.6963",
        "555-123-4567",
        "",
    ] {
        assert_eq!(government_id::check(cell), None, "{cell}");
    }
}
