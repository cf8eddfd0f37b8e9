//! The recipes that come with the program, one file each under `playbook/`.
//!
//! A test holds this list to the directory.

/// Name and text of a recipe.
macro_rules! recipe {
    ($name:literal) => {
        ($name, include_str!(concat!("../../playbook/", $name, ".toml")))
    };
}

/// Name and text of every recipe.
pub(crate) const RECIPES: &[(&str, &str)] = &[
    recipe!("connection-refused"),
    recipe!("go-closed-channel"),
    recipe!("go-concurrent-map"),
    recipe!("go-divide-by-zero"),
    recipe!("go-interface-conversion"),
    recipe!("go-loop-past-end"),
    recipe!("go-nil-map"),
    recipe!("go-nil-pointer"),
    recipe!("java-class-cast"),
    recipe!("java-concurrent-modification"),
    recipe!("java-divide-by-zero"),
    recipe!("java-loop-past-end"),
    recipe!("java-no-value"),
    recipe!("java-null-equals"),
    recipe!("java-null-pointer"),
    recipe!("java-null-unboxed"),
    recipe!("java-number-format"),
    recipe!("javascript-json"),
    recipe!("javascript-not-a-function"),
    recipe!("javascript-not-iterable"),
    recipe!("javascript-undefined-property"),
    recipe!("python-changed-during-iteration"),
    recipe!("python-concatenate-number"),
    recipe!("python-default-encoding"),
    recipe!("python-divide-by-zero"),
    recipe!("python-file-missing"),
    recipe!("python-index-past-end"),
    recipe!("python-int-of-text"),
    recipe!("python-json"),
    recipe!("python-maximum-of-nothing"),
    recipe!("python-missing-computed-key"),
    recipe!("python-missing-key"),
    recipe!("python-naive-datetime"),
    recipe!("python-none-attribute"),
    recipe!("python-none-iteration"),
    recipe!("python-none-operand"),
    recipe!("python-none-subscript"),
    recipe!("python-not-utf-eight"),
    recipe!("python-recursion"),
    recipe!("python-unbound-global"),
    recipe!("rust-already-borrowed"),
    recipe!("rust-char-boundary"),
    recipe!("rust-divide-by-zero"),
    recipe!("rust-length-underflow"),
    recipe!("rust-loop-past-end"),
    recipe!("rust-unwrap-error"),
    recipe!("rust-unwrap-none"),
];
