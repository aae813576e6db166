mod t1 {
    use super::super::*;
    use banger_proto::fault::{Fault, FaultCode};
    use std::path::Path;

    fn store(place: &Path) -> ImageStore {
        ImageStore::new(Layout {
            config: place.join("config"),
            state: place.join("state"),
            cache: place.join("cache"),
            runtime: place.join("run"),
        })
    }

    fn name(text: &str) -> ArtifactName {
        text.parse().expect("is a name")
    }

    fn tar() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        tar.append_data(&mut header, "usr/lib/systemd/systemd", &b"#!"[..])
            .expect("adds");
        tar.into_inner().expect("ends")
    }

    #[test]
    fn an_image_is_listed_found_and_deleted() {
        let place = tempfile::tempdir().expect("a directory");
        let store = store(place.path());
        assert!(store.list().expect("lists").is_empty());
        let tar = tar();
        let image = store
            .import(
                &name("one"),
                &mut &tar[..],
                "file one.tar",
                &Progress::silent(),
            )
            .expect("imports");
        assert_eq!(
            image.manifest.init.as_deref(),
            Some("/usr/lib/systemd/systemd")
        );
        assert_eq!(
            (image.manifest.entries, image.manifest.architecture.as_str()),
            (1, "unknown")
        );
        assert_eq!(image.manifest.origin, "file one.tar");
        assert_eq!(image.manifest.sha256.len(), 64);
        assert!(image.disk.is_file() && image.manifest.created > 0);
        fs::create_dir(place.path().join("state/images/.not-an-image")).expect("is made");
        assert_eq!(store.list().expect("lists"), std::slice::from_ref(&image));
        assert_eq!(store.get(&name("one")).expect("is there"), image);
        let again = store.import(&name("one"), &mut &tar[..], "", &Progress::silent());
        assert_eq!(
            Fault::from(again.expect_err("is taken")).code,
            FaultCode::Conflict
        );
        store.delete(&name("one")).expect("deletes");
        assert!(store.list().expect("lists").is_empty());
        assert_eq!(
            fs::read_dir(place.path().join("state/staging"))
                .expect("lists")
                .count(),
            0
        );
    }

    #[test]
    fn an_unknown_name_is_not_found() {
        let place = tempfile::tempdir().expect("a directory");
        let store = store(place.path());
        for result in [
            store.get(&name("none")).map(|_| ()),
            store.delete(&name("none")),
        ] {
            let fault = Fault::from(result.expect_err("is not there"));
            assert_eq!(fault.code, FaultCode::NotFound);
        }
    }

    #[test]
    fn a_damaged_image_is_named_and_can_be_deleted() {
        let place = tempfile::tempdir().expect("a directory");
        let store = store(place.path());
        let image = store
            .import(&name("one"), &mut &tar()[..], "", &Progress::silent())
            .expect("imports");
        fs::remove_file(&image.disk).expect("removes");
        for error in [
            store.get(&name("one")).expect_err("is damaged"),
            store.list().expect_err("is damaged"),
        ] {
            assert!(
                error.to_string().contains("one/manifest.json is damaged"),
                "{error}"
            );
        }
        store.delete(&name("one")).expect("deletes");
    }
}
