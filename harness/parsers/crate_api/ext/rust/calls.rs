//! The calls by number; `harness/parsers/crate_api/library.py` has the same numbers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorInfo, TensorView, View};
use safetensors::{serialize, serialize_to_file};

use crate::indexing::{indexers, items, part};
use crate::wire::{Failure, Outcome, Reader, Writer};

pub fn call(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    match request.byte() {
        0 => read_metadata(request, out),
        1 => deserialize(request, out),
        2 => tensor(request, out),
        3 => slice(request, out),
        4 => byte_ranges(request, out),
        5 => view_new(request, out),
        6 => metadata_new(request, out),
        7 => metadata_json(request, out),
        8 => serialized(request, out),
        9 => dtypes(request, out),
        10 => indexer_words(request, out),
        11 => wrapped_errors(out),
        12 => metadata_from_json(request, out),
        13 => metadata_into(request, out),
        14 => refusal_into(request, out),
        number => Err(Failure::Lacking(format!("call {number}"))),
    }
}

// -- files ----------------------------------------------------------------------------------------------------

fn read_metadata(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let (size, metadata) = SafeTensors::read_metadata(request.bytes())?;
    out.number(size);
    described(&metadata, out);
    Ok(())
}

fn deserialize(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let file = SafeTensors::deserialize(request.bytes())?;
    out.number(file.len());
    out.byte(u8::from(file.is_empty()));
    out.texts(&file.names());
    let tensors = file.tensors();
    out.number(tensors.len());
    tensors.iter().for_each(|(name, view)| named(name, view, out));
    #[cfg(feature = "iter")]
    {
        out.number(file.iter().count());
        file.iter().for_each(|(name, view)| named(name, &view, out));
    }
    #[cfg(not(feature = "iter"))]
    {
        out.number(tensors.len());
        tensors.iter().for_each(|(name, view)| named(name, view, out));
    }
    Ok(())
}

fn tensor(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let file = SafeTensors::deserialize(request.bytes())?;
    view(&file.tensor(request.text())?, out);
    Ok(())
}

fn named(name: &str, tensor: &TensorView, out: &mut Writer) {
    out.text(name);
    view(tensor, out);
}

fn view(tensor: &TensorView, out: &mut Writer) {
    out.text(&word(tensor.dtype()));
    out.numbers(tensor.shape());
    out.raw(tensor.data());
}

/// The name of a dtype in a header.
fn word(dtype: Dtype) -> String {
    serde_json::to_string(&dtype).unwrap_or_default().trim_matches('"').to_string()
}

fn info(tensor: &TensorInfo, out: &mut Writer) {
    out.text(&word(tensor.dtype));
    out.numbers(&tensor.shape);
    out.numbers(&[tensor.data_offsets.0, tensor.data_offsets.1]);
}

/// All that `Metadata` tells: its tensors, each by name too, their order, the metadata, and the length of the data.
fn described(metadata: &Metadata, out: &mut Writer) {
    let tensors = metadata.tensors();
    out.number(tensors.len());
    for (name, tensor) in &tensors {
        out.text(name);
        info(tensor, out);
        #[cfg(feature = "info")]
        let same = metadata.info(name).is_some_and(|own| std::ptr::eq(own, *tensor));
        #[cfg(not(feature = "info"))]
        let same = true;
        out.byte(u8::from(same));
    }
    #[cfg(feature = "info")]
    let absent = metadata.info("no such tensor").is_none() || tensors.contains_key("no such tensor");
    #[cfg(not(feature = "info"))]
    let absent = true;
    out.byte(u8::from(absent));
    #[cfg(feature = "offset_keys")]
    let keys = metadata.offset_keys();
    #[cfg(not(feature = "offset_keys"))]
    let keys: Vec<String> = vec![];
    out.texts(&keys);
    #[cfg(feature = "data_len")]
    out.number(metadata.data_len());
    #[cfg(not(feature = "data_len"))]
    out.number(0);
    match metadata.metadata() {
        None => out.byte(0),
        Some(entries) => {
            out.byte(1);
            out.number(entries.len());
            for (key, value) in entries {
                out.text(key);
                out.text(value);
            }
        }
    }
}

// -- parts ----------------------------------------------------------------------------------------------------

fn slice(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let (form, file, name) = (request.byte(), request.bytes(), request.text());
    let items = items(request);
    let file = SafeTensors::deserialize(file)?;
    part(&file.tensor(name)?, form, &items, out)
}

#[cfg(feature = "byte_ranges")]
fn byte_ranges(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let (dtype, shape) = (request.dtype()?, request.numbers());
    let (ranges, shape) = safetensors::slice::slice_byte_ranges(dtype, &shape, &indexers(&items(request))?)?;
    out.numbers(&shape);
    out.numbers(&ranges.iter().flat_map(|(start, stop)| [*start, *stop]).collect::<Vec<_>>());
    Ok(())
}

#[cfg(not(feature = "byte_ranges"))]
fn byte_ranges(_: &mut Reader, _: &mut Writer) -> Outcome<()> {
    Err(Failure::Lacking("slice_byte_ranges".into()))
}

#[cfg(feature = "indexer_display")]
fn indexer_words(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let words: Vec<String> = indexers(&items(request))?.iter().map(ToString::to_string).collect();
    out.texts(&words);
    Ok(())
}

#[cfg(not(feature = "indexer_display"))]
fn indexer_words(request: &mut Reader, _: &mut Writer) -> Outcome<()> {
    indexers(&items(request))?;
    Err(Failure::Lacking("Display of TensorIndexer".into()))
}

// -- values of the caller -------------------------------------------------------------------------------------

fn view_new(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let (dtype, shape, data) = (request.dtype()?, request.numbers(), request.bytes());
    let made = TensorView::new(dtype, shape, data)?;
    view(&made, out);
    // The same by the trait, of the view and of a reference to it.
    by_trait(&made, out);
    by_trait(made, out);
    Ok(())
}

fn by_trait<V: View>(tensor: V, out: &mut Writer) {
    out.text(&word(tensor.dtype()));
    out.numbers(tensor.shape());
    out.raw(&tensor.data());
    out.number(tensor.data_len());
}

fn entries(request: &mut Reader) -> Option<HashMap<String, String>> {
    match request.byte() {
        0 => None,
        kind => {
            let rows = (0..request.number()).map(|_| (request.text().to_string(), request.text().to_string()));
            let mut rows: HashMap<String, String> = rows.collect();
            if kind == 2 {
                rows.insert("long".into(), "x".repeat(request.number()));
            }
            Some(rows)
        }
    }
}

#[cfg(feature = "metadata_new")]
fn made_metadata(request: &mut Reader) -> Outcome<Metadata> {
    let metadata = entries(request);
    let mut tensors = vec![];
    for _ in 0..request.number() {
        let name = request.text().to_string();
        let (dtype, shape) = (request.dtype()?, request.numbers());
        let data_offsets = (request.number(), request.number());
        tensors.push((name, TensorInfo { dtype, shape, data_offsets }));
    }
    Ok(Metadata::new(metadata, tensors)?)
}

#[cfg(not(feature = "metadata_new"))]
fn made_metadata(request: &mut Reader) -> Outcome<Metadata> {
    entries(request);
    Err(Failure::Lacking("Metadata::new".into()))
}

fn metadata_new(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    described(&made_metadata(request)?, out);
    Ok(())
}

fn metadata_json(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let json = serde_json::to_string(&made_metadata(request)?).map_err(SafeTensorError::from)?;
    out.text(&json);
    let again: Metadata = serde_json::from_str(&json).map_err(SafeTensorError::from)?;
    described(&again, out);
    Ok(())
}

/// A header without a file around it.
fn metadata_from_json(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let metadata: Metadata = serde_json::from_slice(request.bytes()).map_err(SafeTensorError::from)?;
    described(&metadata, out);
    Ok(())
}

/// The whole text, whether all of it went into a buffer of `room` bytes, and what lies there.
fn fitted(text: &str, room: usize, write: impl FnOnce(&mut &mut [u8]) -> bool, out: &mut Writer) {
    let mut buffer = vec![0; room];
    let mut rest = &mut buffer[..];
    let whole = write(&mut rest);
    let used = room - rest.len();
    out.text(text);
    out.byte(u8::from(whole));
    out.raw(&buffer[..used]);
}

/// A header that is written into a buffer of the caller's.
fn metadata_into(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let room = request.number();
    let metadata = made_metadata(request)?;
    let text = serde_json::to_string(&metadata).map_err(SafeTensorError::from)?;
    fitted(&text, room, |rest| serde_json::to_writer(rest, &metadata).is_ok(), out);
    Ok(())
}

/// The words of the error of a view, written into a buffer of the caller's; none for a view without an error.
fn refusal_into(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let (room, dtype, shape, data) = (request.number(), request.dtype()?, request.numbers(), request.bytes());
    match TensorView::new(dtype, shape, data) {
        Ok(_) => fitted("", room, |_| true, out),
        Err(error) => fitted(&error.to_string(), room, |rest| write!(rest, "{error}").is_ok(), out),
    }
    Ok(())
}

/// A tensor of the caller's own type, which nothing has checked.
struct Own<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    data: &'a [u8],
    owned: bool,
}

impl View for Own<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        if self.owned {
            self.data.to_vec().into()
        } else {
            self.data.into()
        }
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn serialized(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let (kind, path, metadata) = (request.byte(), request.text(), entries(request));
    let mut own: Vec<(&str, Own)> = vec![];
    for _ in 0..request.number() {
        let (name, dtype, shape, data) = (request.text(), request.dtype()?, request.numbers(), request.bytes());
        own.push((name, Own { dtype, shape, data, owned: kind == 3 }));
    }
    if kind >= 2 {
        return written(own, metadata, path, out);
    }
    let mut views = vec![];
    for (name, tensor) in own {
        views.push((name, TensorView::new(tensor.dtype, tensor.shape, tensor.data)?));
    }
    if kind == 1 {
        written(views.iter().map(|(name, view)| (name.to_string(), view)), metadata, path, out)
    } else {
        written(views, metadata, path, out)
    }
}

/// The file as bytes, or at `path` where that is not empty.
fn written<S, V, I>(data: I, metadata: Option<HashMap<String, String>>, path: &str, out: &mut Writer) -> Outcome<()>
where
    S: AsRef<str> + Ord + std::fmt::Display,
    V: View,
    I: IntoIterator<Item = (S, V)>,
{
    #[cfg(not(feature = "owned_info"))]
    let metadata = &metadata;
    if path.is_empty() {
        out.raw(&serialize(data, metadata)?);
    } else {
        serialize_to_file(data, metadata, Path::new(path))?;
    }
    Ok(())
}

// -- about ----------------------------------------------------------------------------------------------------

fn dtypes(request: &mut Reader, out: &mut Writer) -> Outcome<()> {
    let known: Vec<Dtype> = (0..request.number()).map(|_| request.dtype()).collect::<Outcome<_>>()?;
    out.number(known.len());
    for dtype in &known {
        out.text(&word(*dtype));
        #[cfg(feature = "dtype_display")]
        out.text(&dtype.to_string());
        #[cfg(not(feature = "dtype_display"))]
        out.text(&word(*dtype));
        #[allow(deprecated)]
        let bytes = dtype.size();
        #[cfg(feature = "bitsize")]
        out.number(dtype.bitsize());
        #[cfg(not(feature = "bitsize"))]
        out.number(bytes * 8);
        out.number(bytes);
        // Its place in the order of the type.
        out.number(known.iter().filter(|other| *other < dtype).count());
    }
    Ok(())
}

/// Each error that wraps another: its own words, and those of the error in it.
fn wrapped_errors(out: &mut Writer) -> Outcome<()> {
    let json = || serde_json::from_str::<u8>("x").expect_err("x is no number");
    let utf8 = String::from_utf8(vec![0xff]).expect_err("0xff is no UTF-8").utf8_error();
    let io = std::io::Error::other("disk");
    let wrapped: [(String, SafeTensorError); 4] = [
        (io.to_string(), io.into()),
        (json().to_string(), json().into()),
        (json().to_string(), SafeTensorError::InvalidHeaderDeserialization(json())),
        (utf8.to_string(), SafeTensorError::InvalidHeader(utf8)),
    ];
    out.number(wrapped.len());
    for (words, error) in wrapped {
        out.text(&words);
        let Failure::Refused { variant, message, source, .. } = Failure::from(error) else { continue };
        out.text(&variant);
        out.text(&message);
        out.text(&source);
    }
    Ok(())
}
