//! The one function of Windows' `bcryptprimitives.dll` that Rust's standard library calls, for
//! versions of wine that lack that library. See `ci/other_systems.sh`.
#![no_std]
#![no_main]

use core::ffi::c_void;

unsafe extern "system" {
    /// `RtlGenRandom` of `advapi32.dll`.
    #[link_name = "SystemFunction036"]
    fn random(bytes: *mut u8, length: u32) -> u8;
}

/// Fills the bytes at random.
///
/// # Safety
/// - There are that many bytes, and they may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ProcessPrng(bytes: *mut u8, length: usize) -> i32 {
    // SAFETY: as the caller promises; nobody asks for four gigabytes.
    i32::from(unsafe { random(bytes, length as u32) })
}

#[unsafe(no_mangle)]
pub extern "system" fn DllMain(_library: *mut c_void, _reason: u32, _reserved: *mut c_void) -> i32 {
    1
}

#[panic_handler]
fn never(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
