//! Prints the public items of a crate, one a line and sorted, from the JSON file that rustdoc made
//! of it.

use std::error::Error;

/// Traits that the compiler decides by itself and that no stable code can name.
const UNSTABLE: [&str; 2] = ["core::marker::Freeze", "core::marker::UnsafeUnpin"];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which file of rustdoc JSON?")?;
    // Blanket impls are the same for every type. `Send`, `Sync` and what is derived are promises,
    // and stay.
    let api = public_api::Builder::from_rustdoc_json(path).omit_blanket_impls(true).build()?;
    let lines = api.items().map(|item| item.to_string());
    for line in lines.filter(|line| !UNSTABLE.iter().any(|unstable| line.contains(unstable))) {
        println!("{line}");
    }
    Ok(())
}
