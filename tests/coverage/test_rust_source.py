"""Names and places of Rust functions, from source text alone."""

from __future__ import annotations

import pytest

from harness.coverage.rust_source import Source


def names(text: str) -> list[str]:
    return [function.name for function in Source(text.encode()).functions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fn plain() {}", ["plain"]),
        ("pub(crate) const unsafe fn qualified() {}", ["qualified"]),
        ("impl Type { fn a(&self) {} fn b() {} }", ["Type::a", "Type::b"]),
        ("impl<'data> Type<'data> { fn a() {} }", ["Type::a"]),
        ("impl<'a, T: Into<U>, U> Type<'a, T, U> { fn a() {} }", ["Type<T, U>::a"]),
        ("impl<F: Fn() -> Vec<u8>> Type<F> { fn a() {} }", ["Type<F>::a"]),
        ("impl core::fmt::Display for Error { fn fmt() {} }", ["<Error as Display>::fmt"]),
        ("impl View for &TensorView<'_> { fn data() {} }", ["<&TensorView as View>::data"]),
        ("impl<'a> View for &'a Type { fn data() {} }", ["<&Type as View>::data"]),
        ("impl<'de> Deserialize<'de> for Metadata { fn de() {} }", ["<Metadata as Deserialize>::de"]),
        ("impl<A, B> Op<'data, (A, B)> for T<'data>\nwhere\n  A: X,\n{ fn s() {} }", ["<T as Op<(A, B)>>::s"]),
        ("fn outer() { fn inner() {} }", ["outer", "outer::inner"]),
        ("trait View { fn declared(); fn given() {} }", ["View::given"]),
        ("macro_rules! m { ($t:ty) => { impl From<$t> for X { fn from() {} } } }", ["<X as From<$t>>::from"]),
        ("fn f(x: impl AsRef<str>) -> impl Iterator { x }", ["f"]),
        ("fn f(callback: fn(u8) -> u8) {}", ["f"]),
        ("// fn commented() {\nfn real() {}", ["real"]),
        ("/* fn a() { /* nested */ fn b() { */ fn real() {}", ["real"]),
        ('fn f() { "}" ; r#"} "quoted" {"# ; b"{" }\nfn g() {}', ["f", "g"]),
        ("fn f<'a>(x: &'a str) { '{' ; '\\'' ; '\\u{7b}' ; b'}' }\nfn g() {}", ["f", "g"]),
        ("fn f() { '\u00fc' }\nfn g() {}", ["f", "g"]),
        ("", []),
        ("fn broken() {", []),
        ("}} fn f() {}", ["f"]),
    ],
)
def test_names(text, expected):
    assert names(text) == expected


def test_places_are_counted_in_bytes_from_one():
    source = Source("mod m {\n    // \u00fc\n    pub fn f() {\n    }\n}\n".encode())
    (function,) = source.functions
    assert function.start == (3, 5)
    assert function.end == (4, 6)


def test_the_innermost_function_owns_a_place():
    source = Source(b"fn outer() {\n    fn inner() {\n        1;\n    }\n    2;\n}\n3;\n")
    assert [getattr(source.function_at((line, 5)), "name", None) for line in (1, 3, 5, 7)] == [
        "outer",
        "outer::inner",
        "outer",
        None,
    ]


def test_every_function_of_the_parser_has_a_name(broad_files):
    """Each region of a real build that starts inside some function's braces is given to a function."""
    for file in broad_files:
        orphans = {region for region in file.regions if file.source.function_at(region[:2]) is None}
        # What macros of pyo3 generate is placed at the attribute, a place outside of any function.
        attributes = {line for line, text in enumerate(file.source.lines, 1) if text.strip().startswith(b"#[")}
        assert {region.start_line for region in orphans} <= attributes
        assert "SafeTensors::read_metadata" in {f.name for f in file.functions} or not file.path.endswith("tensor.rs")


ARMS = """\
fn f(framework: Framework) {
    match framework {
        Framework::Paddle => { a(&[1, 2], |x| { x }) }
        Framework::Pytorch => b(),
        Framework::Flax => "}, flax",
        Storage::Paddle(storage) => Python::attach(|py| { c(storage, py) })?,
        Storage::Torch(storage) => d(),
        Framework::Mlx => e()
    }
    "paddle" => Ok(Framework::Paddle),
}
"""


def test_arms_of_other_frameworks_are_found() -> None:
    source = Source(ARMS.encode())
    found = [(arm.framework, arm.start[0], source.lines[arm.end[0] - 1][: arm.end[1] - 1]) for arm in source.arms]
    assert found == [
        ("paddle", 3, b"        Framework::Paddle => { a(&[1, 2], |x| { x }) }"),
        ("flax", 5, b'        Framework::Flax => "}, flax"'),
        ("paddle", 6, b"        Storage::Paddle(storage) => Python::attach(|py| { c(storage, py) })?"),
        ("mlx", 8, b"    "),
    ]
    assert source.framework_at((3, 40)) == "paddle"
    assert source.framework_at((4, 35)) == source.framework_at((10, 20)) == ""
