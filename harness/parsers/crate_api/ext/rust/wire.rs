//! Requests and answers: numbers are little-endian u64, bytes and lists begin with their length.

use safetensors::slice::InvalidSlice;
use safetensors::tensor::{Dtype, SafeTensorError};

/// How a call ends that gives nothing.
pub enum Failure {
    Refused { variant: String, message: String, source: String, fields: Vec<usize> },
    Lacking(String),
}

pub type Outcome<T> = Result<T, Failure>;

/// The name of a variant: its debug form up to the fields.
fn variant(debug: &str) -> String {
    debug.chars().take_while(|c| c.is_alphanumeric()).collect()
}

impl From<SafeTensorError> for Failure {
    fn from(error: SafeTensorError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let (variant, message) = (variant(&format!("{error:?}")), error.to_string());
        Failure::Refused { variant, message, source, fields: vec![] }
    }
}

impl From<InvalidSlice> for Failure {
    fn from(error: InvalidSlice) -> Self {
        let variant = variant(&format!("{error:?}"));
        #[cfg(feature = "invalid_slice_display")]
        let message = error.to_string();
        #[cfg(not(feature = "invalid_slice_display"))]
        let message = format!("{error:?}");
        let fields = match error {
            InvalidSlice::SliceOutOfRange { dim_index, asked, dim_size } => vec![dim_index, asked, dim_size],
            _ => vec![],
        };
        Failure::Refused { variant, message, source: String::new(), fields }
    }
}

/// Takes a request apart. The harness makes every request, so a short one is a panic.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(count);
        self.rest = rest;
        head
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn number(&mut self) -> usize {
        u64::from_le_bytes(self.take(8).try_into().expect("eight bytes")) as usize
    }

    pub fn bytes(&mut self) -> &'a [u8] {
        let count = self.number();
        self.take(count)
    }

    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.bytes()).expect("text of the harness is UTF-8")
    }

    pub fn numbers(&mut self) -> Vec<usize> {
        (0..self.number()).map(|_| self.number()).collect()
    }

    pub fn dtype(&mut self) -> Outcome<Dtype> {
        let name = self.text();
        serde_json::from_str(&format!("\"{name}\"")).map_err(|_| Failure::Lacking(format!("dtype {name}")))
    }
}

/// Writes an answer.
pub struct Writer {
    made: Vec<u8>,
}

impl Writer {
    pub fn new(status: u8) -> Self {
        Self { made: vec![status] }
    }

    pub fn bytes(self) -> Vec<u8> {
        self.made
    }

    pub fn byte(&mut self, value: u8) {
        self.made.push(value);
    }

    pub fn number(&mut self, value: usize) {
        self.made.extend((value as u64).to_le_bytes());
    }

    pub fn raw(&mut self, value: &[u8]) {
        self.number(value.len());
        self.made.extend(value);
    }

    pub fn text(&mut self, value: &str) {
        self.raw(value.as_bytes());
    }

    pub fn numbers(&mut self, values: &[usize]) {
        self.number(values.len());
        values.iter().for_each(|value| self.number(*value));
    }

    pub fn texts<S: AsRef<str>>(&mut self, values: &[S]) {
        self.number(values.len());
        values.iter().for_each(|value| self.text(value.as_ref()));
    }
}
