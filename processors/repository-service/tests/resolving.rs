//! From the files that traces name to those of the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{FILE, Sample};
use hephaestus_repository_service::{
    CommitId, FileList, FileLists, resolve::FileIndex, resolve::MAX_CACHED_LISTS, resolve_path,
};
use hephaestus_schemas::Frame;

fn index(paths: &[&str]) -> FileIndex {
    let mut paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    paths.sort();
    FileIndex::new(FileList { paths, truncated: false })
}

fn frame(file: &str) -> Frame {
    Frame { file: Some(file.to_owned()), in_app: true, ..Frame::default() }
}

fn java(class: &str, file: &str) -> Frame {
    Frame { module: Some(class.to_owned()), ..frame(file) }
}

#[test]
fn the_source_root_is_taken_off() {
    let files = index(&["bookshop/ratings.py", "ratings.py"]);
    for root in ["/srv/bookshop", "/srv/bookshop/", "/srv/./bookshop"] {
        assert_eq!(
            resolve_path(&frame("/srv/bookshop/bookshop/ratings.py"), root, &files).as_deref(),
            Some("bookshop/ratings.py")
        );
        assert_eq!(
            resolve_path(&frame("/srv/bookshop/ratings.py"), root, &files).as_deref(),
            Some("ratings.py")
        );
    }
}

#[test]
fn without_a_source_root_the_longest_end_that_fits_counts() {
    let files = index(&[
        "bookshop/ratings.py",
        "tests/ratings.py",
        "web/app.js",
        "src/main.rs",
        "cmd/a/main.go",
        "cmd/b/main.go",
        "handlers/user.go",
    ]);
    let cases = [
        ("/srv/bookshop/bookshop/ratings.py", Some("bookshop/ratings.py")),
        ("bookshop/ratings.py", Some("bookshop/ratings.py")),
        ("./bookshop/ratings.py", Some("bookshop/ratings.py")),
        ("/srv/other/ratings.py", None),
        ("C:\\work\\web\\app.js", Some("web/app.js")),
        ("file:///home/me/web/app.js", Some("web/app.js")),
        ("webpack://shop/./web/app.js?1a2b", Some("web/app.js")),
        ("src/main.rs", Some("src/main.rs")),
        ("/build/x/../cmd/b/main.go", Some("cmd/b/main.go")),
        ("/build/main.go", None),
        ("github.com/acme/shop/handlers/user.go", Some("handlers/user.go")),
        ("/app/nowhere.py", None),
        ("<string>", None),
        ("<frozen importlib._bootstrap>", None),
        ("", None),
        ("/", None),
        ("../../etc/passwd", None),
    ];
    for (file, expected) in cases {
        assert_eq!(resolve_path(&frame(file), "", &files).as_deref(), expected, "{file}");
    }
}

#[test]
fn libraries_are_not_taken_for_the_repositorys_files() {
    let files = index(&["app.py", "decoder.py", "index.js", "user.go"]);
    let cases = [
        "/usr/lib/python3/dist-packages/flask/app.py",
        "/srv/shop/venv/lib/python3.11/site-packages/flask/app.py",
        "/srv/shop/node_modules/express/index.js",
        "/home/me/go/pkg/mod/github.com/acme/lib@v1.0.0/user.go",
    ];
    for file in cases {
        assert_eq!(resolve_path(&frame(file), "/srv/shop", &files), None, "{file}");
    }
    let mut of_runtime = frame("/usr/lib/python3.11/json/decoder.py");
    of_runtime.in_app = false;
    assert_eq!(resolve_path(&of_runtime, "", &files), None);
}

#[test]
fn java_names_the_file_by_the_classs_package() {
    let files = index(&[
        "src/main/java/a/b/Foo.java",
        "src/main/java/a/c/Foo.java",
        "m1/src/main/java/a/d/Twin.java",
        "m2/src/main/java/a/d/Twin.java",
    ]);
    let cases = [
        (java("a.b.Foo", "Foo.java"), Some("src/main/java/a/b/Foo.java")),
        (java("a.c.Foo$Inner", "Foo.java"), Some("src/main/java/a/c/Foo.java")),
        (java("app//a.b.Foo", "Foo.java"), Some("src/main/java/a/b/Foo.java")),
        (java("x.y.Foo", "Foo.java"), None),
        (java("a.d.Twin", "Twin.java"), None),
        (frame("Foo.java"), None),
    ];
    for (frame, expected) in cases {
        assert_eq!(resolve_path(&frame, "", &files).as_deref(), expected, "{frame:?}");
    }
}

#[test]
fn in_a_list_that_was_cut_off_only_exact_paths_are_sure() {
    let files = FileIndex::new(FileList { paths: vec!["web/app.js".to_owned()], truncated: true });
    assert_eq!(resolve_path(&frame("/srv/web/app.js"), "", &files), None);
    assert!(resolve_path(&frame("/srv/web/app.js"), "/srv", &files).is_some());
}

#[test]
fn lists_are_kept_by_commit_and_bounded() {
    let sample = Sample::with(&[("a.py", b"")]);
    let repository = sample.local();
    let lists = FileLists::new();
    let first = sample.head();
    let resolve = |commit: &CommitId, file: &str| {
        lists.resolve(&repository, commit, &frame(file), "").unwrap()
    };
    assert_eq!(resolve(&first, "/x/a.py").as_deref(), Some("a.py"));
    let second = sample.commit(&[("b.py", b"", FILE)], "second");
    assert_eq!(resolve(&first, "/x/b.py"), None);
    assert_eq!(resolve(&second, "/x/b.py").as_deref(), Some("b.py"));
    for count in 0..MAX_CACHED_LISTS + 5 {
        let commit = sample.commit(&[("c.py", count.to_string().as_bytes(), FILE)], "more");
        assert_eq!(resolve(&commit, "/x/c.py").as_deref(), Some("c.py"));
        assert!(lists.len() <= MAX_CACHED_LISTS);
    }
}
