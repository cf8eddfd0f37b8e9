//! The class or the file that a frame belongs to, and whether it is a test's.

use hephaestus_schemas::Frame;

/// The class that a frame belongs to, without nested and generated ones; its file where there are
/// no classes.
pub(crate) fn class(frame: &Frame) -> &str {
    let file = frame.file.as_deref().unwrap_or("");
    let module = frame.module.as_deref().unwrap_or("");
    let name = simple_name(module);
    // Go names packages: what a class is elsewhere is a file there.
    if !name.starts_with(|char: char| char.is_uppercase() || matches!(char, '$' | '_')) {
        return if file.is_empty() { module } else { file };
    }
    // A class may have the sign of nested ones in its own name; its file tells.
    let stem = stem(file);
    let own = if name.starts_with(stem) { stem.len() } else { 0 };
    let nested = name.get(own..).and_then(|rest| rest.find(['$', '+']));
    let extra = nested.map_or(0, |at| name.len() - own - at);
    module.get(..module.len() - extra).unwrap_or(module)
}

/// The last part of a frame's class, or the name of its file without its ending.
pub(crate) fn simple_class(frame: &Frame) -> &str {
    let class = class(frame);
    if Some(class) == frame.file.as_deref() { stem(class) } else { simple_name(class) }
}

/// The last part of a type's full name.
pub(crate) fn simple_name(name: &str) -> &str {
    name.rsplit(['.', '\\']).next().unwrap_or(name)
}

/// The name of a file without its directory and its ending.
fn stem(file: &str) -> &str {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    base.split('.').next().unwrap_or(base)
}

/// Whether a frame lies in test code, by the names of its class, function and file.
pub fn is_test(frame: &Frame) -> bool {
    let module = frame.module.as_deref().unwrap_or("");
    let file = frame.file.as_deref().unwrap_or("");
    let function = frame.function.as_deref().unwrap_or("");
    let class = module.rsplit('.').next().unwrap_or("");
    let outer = class.split('$').next().unwrap_or("");
    let java_test = outer.ends_with("Test")
        || outer.ends_with("Tests")
        || outer.ends_with("TestCase")
        || outer.starts_with("Test") && outer.as_bytes().get(4).is_some_and(u8::is_ascii_uppercase)
        || outer.ends_with("TestBase")
        || outer.ends_with("TestUtils")
        || outer.ends_with("TestUtil")
        || outer.ends_with("IT");
    let base = file.rsplit(['/', '\\']).next().unwrap_or("");
    let in_tests =
        ["/tests/", "/test/", "/testing/", "/__tests__/"].iter().any(|part| file.contains(part))
            || file.starts_with("tests/")
            || file.starts_with("test/")
            || file.starts_with("testing/");
    let by_name = base.starts_with("test_")
        || base.starts_with("conftest")
        || base.contains("_test.")
        || base.contains("_spec.")
        || base.contains(".test.")
        || base.contains(".spec.");
    java_test || in_tests || by_name || function.contains("::tests::")
}

/// What a test is named for: `Order` of `OrderTest`, `TestOrder_Totals`, `order_test.go` and
/// `test_order.py`.
pub(crate) fn test_subject(frame: &Frame) -> Option<&str> {
    let name = simple_class(frame);
    let is_class = name.starts_with(char::is_uppercase);
    let class = name.strip_prefix("Test").filter(|behind| behind.starts_with(char::is_uppercase));
    let behind = class.or_else(|| name.strip_prefix("test_")).unwrap_or(name);
    let subject = ["TestCase", "Tests", "Test", "IT", "Spec", "_test", "_spec"]
        .iter()
        .find_map(|end| behind.strip_suffix(end))
        .unwrap_or(behind);
    // What stands behind an underscore in a class's name says which part of it is tested.
    let subject = if is_class { subject.split('_').next().unwrap_or(subject) } else { subject };
    (!subject.is_empty()).then_some(subject)
}
