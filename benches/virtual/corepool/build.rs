//! Configures the library for virtual cores.

fn main() {
    println!("cargo::rustc-cfg=corepool_virtual");
    println!("cargo::rerun-if-changed=build.rs");
}
