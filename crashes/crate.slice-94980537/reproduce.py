"""crate.slice-94980537: a slice that includes the index usize::MAX gives a part

Run: python reproduce.py (exit status 1: the defect shows, 0: it does not, 2: it cannot tell)
"""
# By hand.

import sys

sys.path[0] += "/.."
from _tools import cargo

MAIN = r'''
use safetensors::slice::IndexOp;
use safetensors::tensor::{Dtype, TensorView};

fn main() {
    let view = TensorView::new(Dtype::U8, vec![6], b"abcdef").unwrap();
    match view.slice(0..=usize::MAX) {
        Err(error) => println!("error: {error}"),
        Ok(part) => println!("{:?} {:?}", part.newshape(), part.collect::<Vec<_>>().concat()),
    }
}
'''
status, said, _ = cargo(MAIN, "0.8.0", "--release")
assert not said.startswith("[")
