//! The floating-point environment that the law is written for: rounding to nearest even, subnormal numbers kept, no
//! traps. Rust's own arithmetic takes it for granted as well.
//!
//! A host program may compute in another one: `-ffast-math` flushes subnormal numbers to zero in every thread that loads
//! such a library, `fesetround` rounds upwards, `feenableexcept` stops at an inexact result. The environment is one control
//! register of each thread, so that whoever calls this library sets it for the call and puts back what was.

use std::marker::PhantomData;

/// The calling thread computes in the standard environment while this lives, and afterwards in its own again.
///
/// Reading the register takes some nanoseconds; it is written only where it holds anything else. What is computed must
/// be read from memory after this is made, and written before it goes: that is the order in which the compiler keeps it.
pub struct StandardFloats {
    /// What was, where it is not the standard.
    given: Option<Control>,
    /// The register is the thread's: this stays where it was made.
    of_the_thread: PhantomData<*const ()>,
}

impl StandardFloats {
    /// From now on.
    #[must_use]
    #[inline]
    pub fn begin() -> Self {
        let control = read();
        let given = (control & SETTINGS != STANDARD).then(|| {
            write(STANDARD);
            control
        });
        Self { given, of_the_thread: PhantomData }
    }

    /// For the rest of this thread's life.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for StandardFloats {
    #[inline]
    fn drop(&mut self) {
        if let Some(given) = self.given {
            write(given);
        }
    }
}

use register::{Control, SETTINGS, STANDARD, read, write};

/// MXCSR, which rules SSE, AVX and AVX-512. The x87 unit is not used.
#[cfg(target_arch = "x86_64")]
mod register {
    use std::arch::asm;

    /// The register's width.
    pub type Control = u32;

    /// All but the six sticky flags, which tell what has happened and decide nothing.
    pub const SETTINGS: Control = 0xFFFF_FFC0;
    /// Every exception masked, to nearest even, neither FTZ nor DAZ.
    pub const STANDARD: Control = 0x1F80;

    #[inline]
    pub fn read() -> Control {
        let mut control: Control = 0;
        // SAFETY: stores four bytes to a local of four bytes, and changes nothing else; SSE is part of x86-64.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags)) };
        control
    }

    #[inline(never)]
    pub fn write(control: Control) {
        // SAFETY: loads four bytes from a local of four bytes; SSE is part of x86-64. The value is the standard one, whose
        // reserved bits are 0 and which Rust code takes for granted, or, as the guard goes, the one that this thread came
        // with. It overwrites the sticky flags: flags are not said to be preserved.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack)) };
    }
}

/// FPCR, which rules scalar and NEON instructions.
#[cfg(target_arch = "aarch64")]
mod register {
    use std::arch::asm;

    /// The register's width.
    pub type Control = u64;

    /// It holds settings alone; what has happened stands in FPSR.
    pub const SETTINGS: Control = !0;
    /// No trap, to nearest even, no flush to zero, NaNs handed on.
    pub const STANDARD: Control = 0;

    #[inline]
    pub fn read() -> Control {
        let control: Control;
        // SAFETY: reads a register that every program may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) control, options(nostack, preserves_flags)) };
        control
    }

    #[inline(never)]
    pub fn write(control: Control) {
        // SAFETY: writes a register that every program may write: the standard value, which Rust code takes for granted,
        // or, as the guard goes, the one that this thread came with. Its flags stand in other registers.
        unsafe { asm!("msr fpcr, {}", in(reg) control, options(nostack, preserves_flags)) };
    }
}

/// Elsewhere the environment is taken to be the standard one.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod register {
    /// There is none.
    pub type Control = u32;

    pub const SETTINGS: Control = 0;
    pub const STANDARD: Control = 0;

    pub fn read() -> Control {
        STANDARD
    }

    pub fn write(_: Control) {}
}
