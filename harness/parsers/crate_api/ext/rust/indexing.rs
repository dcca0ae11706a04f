//! Parts of tensors: every form of `IndexOp`, and what the iterator of a part gives.

#[cfg(feature = "step")]
use std::num::NonZeroUsize;
use std::ops::Bound;

use safetensors::slice::{IndexOp, InvalidSlice, SliceIterator, TensorIndexer};
use safetensors::tensor::TensorView;

use crate::wire::{Failure, Outcome, Reader, Writer};

/// One item of an index, as a Rust caller writes it.
#[derive(Clone, Copy)]
pub struct Item {
    kind: u8,
    a: usize,
    b: usize,
    left: u8,
    right: u8,
    step: usize,
}

const INTEGER: u8 = 0;
const RANGE: u8 = 1;
const FROM: u8 = 2;
const FULL: u8 = 3;
const INCLUSIVE: u8 = 4;
const TO: u8 = 5;
const TO_INCLUSIVE: u8 = 6;
const SELECT: u8 = 7;
const NARROW: u8 = 8;

pub fn items(request: &mut Reader) -> Vec<Item> {
    let item = |request: &mut Reader| Item {
        kind: request.byte(),
        a: request.number(),
        b: request.number(),
        left: request.byte(),
        right: request.byte(),
        step: request.number(),
    };
    (0..request.number()).map(|_| item(request)).collect()
}

fn bound(kind: u8, value: usize) -> Bound<usize> {
    match kind {
        0 => Bound::Unbounded,
        1 => Bound::Included(value),
        _ => Bound::Excluded(value),
    }
}

/// The indexer of an item, by the conversions that the crate has for ranges and integers.
pub fn indexer(item: &Item) -> Outcome<TensorIndexer> {
    let Item { kind, a, b, left, right, step } = *item;
    Ok(match kind {
        INTEGER => a.into(),
        RANGE => (a..b).into(),
        FROM => (a..).into(),
        FULL => (..).into(),
        INCLUSIVE => (a..=b).into(),
        TO => (..b).into(),
        TO_INCLUSIVE => (..=b).into(),
        SELECT => TensorIndexer::Select(a),
        NARROW => {
            let (left, right) = (bound(left, a), bound(right, b));
            #[cfg(feature = "step")]
            let made = TensorIndexer::Narrow(left, right, NonZeroUsize::new(step).unwrap_or(NonZeroUsize::MIN));
            #[cfg(not(feature = "step"))]
            let made = match step {
                1 => TensorIndexer::Narrow(left, right),
                _ => return Err(Failure::Lacking("TensorIndexer::Narrow(step)".into())),
            };
            made
        }
        _ => return Err(Failure::Lacking(format!("index of kind {kind}"))),
    })
}

pub fn indexers(items: &[Item]) -> Outcome<Vec<TensorIndexer>> {
    items.iter().map(indexer).collect()
}

/// A part by `IndexOp`: one item as it stands, or a tuple of one to three.
fn by_operator<'a>(view: &'a TensorView<'a>, items: &[Item]) -> Outcome<Result<SliceIterator<'a>, InvalidSlice>> {
    let known = indexers(items)?;
    let mut known = known.into_iter();
    Ok(match (known.next(), known.next(), known.next(), known.next()) {
        (Some(a), None, None, None) => view.slice((a,)),
        (Some(a), Some(b), None, None) => view.slice((a, b)),
        (Some(a), Some(b), Some(c), None) => view.slice((a, b, c)),
        _ => return Err(Failure::Lacking("IndexOp of this number of items".into())),
    })
}

/// A part by `IndexOp` of one item that is no tuple.
fn by_value<'a>(view: &'a TensorView<'a>, item: &Item) -> Outcome<Result<SliceIterator<'a>, InvalidSlice>> {
    let Item { kind, a, b, .. } = *item;
    Ok(match kind {
        INTEGER => view.slice(a),
        RANGE => view.slice(a..b),
        FROM => view.slice(a..),
        FULL => view.slice(..),
        INCLUSIVE => view.slice(a..=b),
        TO => view.slice(..b),
        TO_INCLUSIVE => view.slice(..=b),
        _ => view.slice(indexer(item)?),
    })
}

/// Take a part of `view` and write its shape, its chunks, the bytes that are left after each, and the method that differs.
pub fn part<'a>(view: &'a TensorView<'a>, form: u8, items: &[Item], out: &mut Writer) -> Outcome<()> {
    let take = || -> Outcome<SliceIterator<'a>> {
        Ok(match (form, items) {
            (0, _) => view.sliced_data(&indexers(items)?),
            (1, [item]) => by_value(view, item)?,
            _ => by_operator(view, items)?,
        }?)
    };
    let mut chunks = take()?;
    out.numbers(&chunks.newshape());
    out.number(chunks.remaining_byte_len());
    let mut given: Vec<&[u8]> = vec![];
    let mut left: Vec<usize> = vec![];
    while let Some(chunk) = chunks.next() {
        given.push(chunk);
        left.push(chunks.remaining_byte_len());
    }
    out.number(given.len());
    for (chunk, left) in given.iter().zip(left) {
        out.raw(chunk);
        out.number(left);
    }
    // An iterator that has ended gives nothing more.
    out.byte(u8::from(chunks.next().is_some()));
    out.text(other_method(take, &given)?);
    Ok(())
}

/// The first method of `Iterator` that gives other chunks than `next` gives, "" for none.
fn other_method<'a>(take: impl Fn() -> Outcome<SliceIterator<'a>>, given: &[&'a [u8]]) -> Outcome<&'static str> {
    let (least, most) = take()?.size_hint();
    if given.len() < least || most.is_some_and(|most| given.len() > most) {
        return Ok("size_hint");
    }
    if take()?.count() != given.len() {
        return Ok("count");
    }
    if take()?.last() != given.last().copied() {
        return Ok("last");
    }
    // The chunk after the first, and those that follow it.
    let mut chunks = take()?;
    if chunks.nth(1) != given.get(1).copied() || !chunks.eq(given.iter().skip(2).copied()) {
        return Ok("nth");
    }
    if !take()?.step_by(2).eq(given.iter().step_by(2).copied()) {
        return Ok("step_by");
    }
    let mut folded: Vec<&[u8]> = vec![];
    take()?.for_each(|chunk| folded.push(chunk));
    Ok(if folded == given { "" } else { "for_each" })
}
