use super::*;
use proptest::prelude::*;

fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.into(),
        meta: Meta::plain(0o644),
        kind,
    }
}

fn file(size: u64) -> Kind {
    Kind::File { size, data: None }
}

fn tree(entries: impl IntoIterator<Item = (&'static str, Kind)>) -> Result<Tree, TreeError> {
    let mut tree = Tree::new();
    for (path, kind) in entries {
        tree.place(entry(path, kind), 0)?;
    }
    Ok(tree)
}

fn kind<'a>(tree: &'a Tree, path: &str) -> Option<&'a NodeKind> {
    Some(&tree.node(tree.find(path.as_bytes())?)?.kind)
}

#[test]
fn missing_parents_are_made_as_roots() {
    let tree = tree([("a/b/c", file(1))]).expect("fits");
    let parent = tree
        .node(tree.find(b"a/b").expect("was made"))
        .expect("is there");
    assert_eq!(parent.meta, Meta::plain(0o755));
    assert!(matches!(
        kind(&tree, "./a//b/c"),
        Some(NodeKind::File { size: 1, .. })
    ));
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let tree = tree([
        ("x", file(1)),
        ("x", file(2)),
        ("d/inner", file(1)),
        ("d", Kind::Symlink(b"x".into())),
        ("l", Kind::Symlink(b"x".into())),
        ("l", Kind::Directory),
        ("l/below", file(3)),
    ])
    .expect("fits");
    assert!(matches!(
        kind(&tree, "x"),
        Some(NodeKind::File { size: 2, .. })
    ));
    assert!(matches!(kind(&tree, "d"), Some(NodeKind::Symlink(_))));
    assert!(kind(&tree, "d/inner").is_none());
    assert!(kind(&tree, "l/below").is_some());
}

#[test]
fn a_directory_that_comes_again_keeps_what_is_in_it() {
    let mut tree = tree([("d/inner", file(1))]).expect("fits");
    let mut again = entry("d/", Kind::Directory);
    again.meta = Meta::plain(0o1777);
    tree.place(again, 0).expect("fits");
    let node = tree
        .node(tree.find(b"d").expect("is there"))
        .expect("is there");
    assert_eq!(node.meta.mode, 0o1777);
    assert!(kind(&tree, "d/inner").is_some());
}

#[test]
fn the_root_can_be_described_but_not_replaced() {
    let mut tree = Tree::new();
    let mut root = entry("./", Kind::Directory);
    root.meta.uid = 7;
    tree.place(root, 0).expect("fits");
    assert_eq!(tree.node(ROOT).map(|node| node.meta.uid), Some(7));
    let error = tree.place(entry("/", file(1)), 0).expect_err("is refused");
    assert!(matches!(error, TreeError::Root));
}

#[test]
fn a_hard_link_is_another_name_of_the_same_node() {
    let tree = tree([
        ("a", file(5)),
        ("d/b", Kind::Hardlink(b"./a".into())),
        ("a", file(6)),
    ])
    .expect("fits");
    assert!(matches!(
        kind(&tree, "d/b"),
        Some(NodeKind::File { size: 5, .. })
    ));
    assert!(matches!(
        kind(&tree, "a"),
        Some(NodeKind::File { size: 6, .. })
    ));
}

#[test]
fn a_hard_link_needs_a_file_that_came_before() {
    for target in ["missing", "d", "d/../a", ""] {
        let error = tree([
            ("d", Kind::Directory),
            ("a", file(1)),
            ("b", Kind::Hardlink(target.into())),
        ]);
        let error = error.expect_err(target).to_string();
        assert!(
            error.contains("hard link") || error.contains("'..'"),
            "{error}"
        );
    }
}

#[test]
fn what_no_file_system_holds_is_refused_with_its_name() {
    let long = Kind::Symlink(vec![b'x'; 4096]);
    let cases = [
        ("../up", file(1), "'..'"),
        ("f/below", file(1), "f, which is not a directory"),
        ("l/below", file(1), "l, which is not a directory"),
        ("s", Kind::Symlink(Vec::new()), "symbolic link s"),
        ("s", long, "symbolic link s"),
        ("big", file(1 << 45), "big is too large"),
    ];
    for (path, kind, expected) in cases {
        let before = [
            ("f", file(1)),
            ("l", Kind::Symlink(b"d".into())),
            ("d", Kind::Directory),
        ];
        let error = tree(before.into_iter().chain([(path, kind)]))
            .expect_err(path)
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn any_order_of_entries_makes_a_tree(
        entries in prop::collection::vec(("[abc]{1}(/[abc.]{1,2}){0,3}", 0_u8..5, "[abc](/[abc])?"), 0..40)
    ) {
        let mut tree = Tree::new();
        for (path, kind, target) in entries {
            let kind = match kind {
                0 => file(1),
                1 => Kind::Directory,
                2 => Kind::Symlink(target.into()),
                3 => Kind::Hardlink(target.into()),
                _ => Kind::Fifo,
            };
            let _ = tree.place(entry(&path, kind), 0);
        }
        // Every directory has one name, and all names lead to nodes: no cycles.
        let mut seen = 0;
        let mut next = vec![ROOT];
        while let Some(id) = next.pop() {
            seen += 1;
            prop_assert!(seen <= 40 * 5);
            prop_assert!(tree.node(id).is_some());
            next.extend(tree.names(id).into_iter().flat_map(Names::values));
        }
    }
}
