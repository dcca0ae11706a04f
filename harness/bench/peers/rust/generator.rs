// A structured target as an engineer writes it in an hour: files of tensors with occasional lies, and checks of the answers.
#![no_main]
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::ops::Bound;

use arbitrary::{Arbitrary, Unstructured};
use safetensors::slice::TensorIndexer;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

const DTYPES: [(Dtype, &str); 10] = [
    (Dtype::BOOL, "BOOL"), (Dtype::F4, "F4"), (Dtype::F6_E2M3, "F6_E2M3"), (Dtype::U8, "U8"), (Dtype::F8_E4M3, "F8_E4M3"),
    (Dtype::I16, "I16"), (Dtype::F16, "F16"), (Dtype::F32, "F32"), (Dtype::C64, "C64"), (Dtype::I64, "I64"),
];

#[derive(Arbitrary, Debug)]
enum Lie { Dtype(u8), Shape(Vec<u64>), Begin(i8), End(i8), Offsets(u64, u64) }

#[derive(Arbitrary, Debug)]
struct Tensor { name: u8, dtype: u8, shape: Vec<u8>, lie: Option<Lie> }

#[derive(Arbitrary, Debug)]
struct Part { narrow: bool, start: u8, length: u8, step: u8 }

impl Part {
    fn start(&self) -> usize {
        self.start as usize % 6
    }

    /// Never before the start: on such a part the release subtracts with overflow, which is known.
    fn stop(&self) -> usize {
        self.start() + self.length as usize % 5
    }

    fn step(&self) -> usize {
        self.step as usize % 4 + 1
    }
}

#[derive(Debug)]
struct Case { tensors: Vec<Tensor>, metadata: Option<Vec<(u8, u8)>>, rest: Vec<u8>, length: i8, header: Option<Vec<u8>>, parts: Vec<Part> }

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        // Lies are rare, so that most files are valid or nearly so.
        let rare = |u: &mut Unstructured<'a>| u.ratio(1, 8);
        let mut tensors: Vec<Tensor> = u.arbitrary()?;
        for tensor in &mut tensors {
            if !u.ratio(1, 6)? {
                tensor.lie = None;
            }
        }
        Ok(Case {
            tensors,
            metadata: u.arbitrary()?,
            rest: if rare(u)? { u.arbitrary()? } else { Vec::new() },
            length: if rare(u)? { u.arbitrary()? } else { 0 },
            header: if rare(u)? { u.arbitrary()? } else { None },
            parts: u.arbitrary()?,
        })
    }
}

/// A tensor as it is meant: name, dtype, shape, bytes.
struct Meant { name: String, dtype: (Dtype, &'static str), shape: Vec<usize>, data: Vec<u8> }

fn bytes(bits: usize, shape: &[usize]) -> Option<usize> {
    let bits = shape.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim))?.checked_mul(bits)?;
    (bits % 8 == 0).then_some(bits / 8)
}

fn meant(case: &Case) -> Vec<Meant> {
    let mut found = BTreeMap::new();
    let mut fill = 0u8;
    for tensor in &case.tensors {
        let dtype = DTYPES[tensor.dtype as usize % DTYPES.len()];
        let shape: Vec<usize> = tensor.shape.iter().take(10).map(|dim| *dim as usize % 5).collect();
        let Some(size) = bytes(dtype.0.bitsize(), &shape).filter(|size| *size <= 1 << 16) else { continue };
        let data = (0..size).map(|_| { fill = fill.wrapping_mul(5).wrapping_add(1); fill }).collect();
        let name = format!("t{}", tensor.name);
        found.insert(name.clone(), Meant { name, dtype, shape, data });
    }
    found.into_values().collect()
}

/// The file, and whether it holds a lie.
fn file(case: &Case, meant: &[Meant]) -> (Vec<u8>, bool) {
    let lies: HashMap<String, &Lie> =
        case.tensors.iter().filter_map(|t| t.lie.as_ref().map(|lie| (format!("t{}", t.name), lie))).collect();
    let (mut members, mut buffer, mut lied) = (Vec::new(), Vec::<u8>::new(), false);
    if let Some(entries) = &case.metadata {
        let entries: BTreeMap<_, _> = entries.iter().map(|(key, value)| (format!("k{key}"), format!("t{value}"))).collect();
        let entries: Vec<_> = entries.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
        members.push(format!("\"__metadata__\":{{{}}}", entries.join(",")));
    }
    for tensor in meant {
        let (begin, mut dtype) = (buffer.len(), tensor.dtype.1);
        buffer.extend(&tensor.data);
        let mut shape: Vec<u64> = tensor.shape.iter().map(|&dim| dim as u64).collect();
        let (mut begin, mut end) = (begin as u64, buffer.len() as u64);
        if let Some(lie) = lies.get(&tensor.name) {
            lied = true;
            match lie {
                Lie::Dtype(other) => dtype = DTYPES[*other as usize % DTYPES.len()].1,
                Lie::Shape(other) => shape = other.clone(),
                Lie::Begin(by) => begin = begin.wrapping_add_signed(*by as i64),
                Lie::End(by) => end = end.wrapping_add_signed(*by as i64),
                Lie::Offsets(first, last) => (begin, end) = (*first, *last),
            }
        }
        members.push(format!(
            "\"{}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{begin},{end}]}}", tensor.name
        ));
    }
    let mut header = format!("{{{}}}", members.join(",")).into_bytes();
    if let Some(raw) = &case.header {
        (header, lied) = (raw.clone(), true);
    }
    let mut data = (header.len() as u64).wrapping_add_signed(case.length as i64).to_le_bytes().to_vec();
    data.extend(header);
    data.extend(buffer);
    data.extend(&case.rest);
    (data, lied || case.length != 0 || !case.rest.is_empty())
}

/// Every accepted file: each tensor has the bytes that dtype and shape need, and together they are the whole buffer.
fn sound(data: &[u8], parsed: &SafeTensors) {
    let length = u64::from_le_bytes(data[..8].try_into().unwrap()) as usize;
    let mut whole = 0;
    for (name, view) in parsed.tensors() {
        assert_eq!(bytes(view.dtype().bitsize(), view.shape()), Some(view.data().len()), "size of {name}");
        whole += view.data().len();
    }
    assert_eq!(8 + length + whole, data.len(), "the tensors are not the whole file");
}

/// A part of a tensor by the crate, and by hand.
fn cut(view: &TensorView, parts: &[Part]) {
    let (shape, size) = (view.shape(), view.dtype().bitsize() / 8);
    if size == 0 || view.dtype().bitsize() % 8 != 0 || view.data().len() > 4096 || shape.iter().any(|&dim| dim > 4096) {
        return;
    }
    let asked: Vec<_> = parts.iter().take(shape.len()).collect();
    let indexers: Vec<_> = asked
        .iter()
        .map(|part| {
            if !part.narrow {
                return TensorIndexer::Select(part.start());
            }
            let step = NonZeroUsize::new(part.step()).unwrap();
            TensorIndexer::Narrow(Bound::Included(part.start()), Bound::Excluded(part.stop()), step)
        })
        .collect();
    let chosen: Option<Vec<Vec<usize>>> = shape
        .iter()
        .enumerate()
        .map(|(at, &dim)| match asked.get(at) {
            None => Some((0..dim).collect()),
            Some(part) if !part.narrow => Some(vec![part.start()]).filter(|one| one[0] < dim),
            Some(part) => {
                let (start, stop) = (part.start(), part.stop());
                (start < dim && stop <= dim && start < stop).then(|| (start..stop).step_by(part.step()).collect())
            }
        })
        .collect();
    let found = view.sliced_data(&indexers);
    let Some(chosen) = chosen else {
        // An index beyond the end is refused; an empty part is left open.
        let beyond = asked.iter().zip(shape).any(|(part, &dim)| {
            (!part.narrow && part.start() >= dim) || (part.narrow && part.stop() > dim)
        });
        assert!(!(beyond && found.is_ok()), "a part beyond the end");
        return;
    };
    let found = found.expect("a valid part is refused");
    let mut places = vec![0usize];
    for (at, picked) in chosen.iter().enumerate() {
        let stride: usize = shape[at + 1..].iter().product();
        places = places.iter().flat_map(|place| picked.iter().map(move |index| place + index * stride)).collect();
    }
    let expected: Vec<u8> = places.iter().flat_map(|place| view.data()[place * size..][..size].to_vec()).collect();
    let newshape = found.newshape();
    assert_eq!(newshape.iter().product::<usize>(), places.len(), "shape of a part");
    assert_eq!(found.flatten().copied().collect::<Vec<u8>>(), expected, "bytes of a part");
}

libfuzzer_sys::fuzz_target!(|case: Case| {
    let meant = meant(&case);
    let (data, lied) = file(&case, &meant);
    match SafeTensors::deserialize(&data) {
        Ok(parsed) => {
            sound(&data, &parsed);
            for (_, view) in parsed.tensors() {
                cut(&view, &case.parts);
            }
        }
        Err(error) => assert!(lied, "a valid file is refused: {error}"),
    }
    // What was written is read again.
    let metadata: Option<HashMap<String, String>> = case
        .metadata
        .as_ref()
        // The release writes an empty map without tensors as broken JSON, which is known.
        .filter(|entries| !entries.is_empty())
        .map(|entries| entries.iter().map(|(key, value)| (format!("k{key}"), format!("t{value}"))).collect());
    let views = meant.iter().map(|one| (&one.name, TensorView::new(one.dtype.0, one.shape.clone(), &one.data).expect("a view")));
    let written = safetensors::serialize(views, metadata.clone()).expect("it is written");
    let again = SafeTensors::deserialize(&written).expect("what was written is refused");
    let (_, read) = SafeTensors::read_metadata(&written).expect("what was written is refused");
    assert_eq!(read.metadata(), &metadata, "metadata");
    assert_eq!(again.tensors().len(), meant.len(), "number of tensors");
    for one in &meant {
        let view = again.tensor(&one.name).expect("a tensor is lost");
        assert_eq!((view.dtype(), view.shape(), view.data()), (one.dtype.0, &one.shape[..], &one.data[..]), "{}", one.name);
    }
});
