//! The Rust API of safetensors as one function of bytes to bytes, for `harness/parsers/crate_api/library.py`.
//!
//! A request is the number of a call and its arguments; an answer is a status and what the call gave (`wire.rs`). No
//! state stays between two calls. A panic is caught, and answered with its message and place.

mod calls;
mod indexing;
mod wire;

use std::cell::RefCell;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;

use wire::{Failure, Reader, Writer};

const GIVEN: u8 = 0;
const REFUSED: u8 = 1;
const PANICKED: u8 = 2;
/// The release lacks the call, or a dtype that it names.
const LACKING: u8 = 3;

thread_local! {
    static ANSWER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static PANIC: RefCell<(String, String)> = const { RefCell::new((String::new(), String::new())) };
}

static HOOK: Once = Once::new();

fn remember_panics() {
    set_hook(Box::new(|info| {
        let payload = info.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_string())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        PANIC.with(|last| *last.borrow_mut() = (message, place));
    }));
}

/// Make one call. The answer stays valid until the next call of this thread.
///
/// # Safety
/// `request` points to `length` readable bytes, `answered` to a writable number.
#[no_mangle]
pub unsafe extern "C" fn safetensors_crate_call(request: *const u8, length: usize, answered: *mut usize) -> *const u8 {
    HOOK.call_once(remember_panics);
    let request: &[u8] = if length == 0 { &[] } else { std::slice::from_raw_parts(request, length) };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut out = Writer::new(GIVEN);
        calls::call(&mut Reader::new(request), &mut out).map(|()| out)
    }));
    let answer = match ended {
        Ok(Ok(out)) => out,
        Ok(Err(Failure::Lacking(words))) => {
            let mut out = Writer::new(LACKING);
            out.text(&words);
            out
        }
        Ok(Err(Failure::Refused { variant, message, source, fields })) => {
            let mut out = Writer::new(REFUSED);
            out.text(&variant);
            out.text(&message);
            out.text(&source);
            out.numbers(&fields);
            out
        }
        Err(_) => {
            let (message, place) = PANIC.with(|last| last.borrow().clone());
            let mut out = Writer::new(PANICKED);
            out.text(&message);
            out.text(&place);
            out
        }
    };
    ANSWER.with(|kept| {
        *kept.borrow_mut() = answer.bytes();
        *answered = kept.borrow().len();
        kept.borrow().as_ptr()
    })
}
