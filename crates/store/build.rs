//! Embedded migrations: a new file must be seen even if no source line changed.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
