//! The behaviours that the rest of the daemon relies on, whatever serves the names.

use super::super::fixtures::{addresses, name};
use super::super::{BindError, CloseError, NameService, ResolverRouting, record_name};
use super::sockets::ask;
use banger_proto::fault::{Fault, FaultCode};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Counts what it is told, and fails when it should.
#[derive(Clone, Default)]
struct Resolver {
    ensured: Arc<Mutex<Vec<SocketAddr>>>,
    reverted: Arc<AtomicUsize>,
    broken: bool,
    hangs: bool,
}

impl Resolver {
    async fn outcome(&self) -> Result<(), Fault> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if self.broken {
            return Err(Fault::new(FaultCode::Failed, "no resolvectl"));
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.ensured.lock().expect("fine").len()
    }
}

impl ResolverRouting for Resolver {
    async fn ensure(&self, server: SocketAddr) -> Result<(), Fault> {
        self.ensured.lock().expect("fine").push(server);
        self.outcome().await
    }

    async fn revert(&self) -> Result<(), Fault> {
        self.reverted.fetch_add(1, Ordering::Relaxed);
        self.outcome().await
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

async fn started() -> (NameService<Resolver>, Resolver, SocketAddr) {
    let resolver = Resolver::default();
    let names = NameService::new(resolver.clone());
    let address = names.start(loopback()).expect("a free port");
    (names, resolver, address)
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_and_keeps_no_server() {
    let (_first, _, taken) = started().await;
    let names = NameService::new(Resolver::default());
    let error = names.start(taken).expect_err("taken");
    let text = error.to_string();
    assert!(
        text.contains(&taken.to_string()) && text.contains("dns_address"),
        "{text}"
    );
    assert_eq!(names.address(), None);
    assert!(names.start(loopback()).is_ok());
}

#[tokio::test]
async fn a_port_that_only_tcp_has_taken_is_an_error_too() {
    let tcp = std::net::TcpListener::bind(loopback()).expect("a free port");
    let names = NameService::new(Resolver::default());
    let taken = tcp.local_addr().expect("bound");
    assert!(matches!(names.start(taken), Err(BindError::Refused { .. })));
    assert_eq!(names.address(), None);
}

#[tokio::test]
async fn an_unspecified_or_foreign_address_is_refused() {
    let names = NameService::new(Resolver::default());
    for (text, why) in [
        ("0.0.0.0:0", "one address"),
        ("[::]:0", "one address"),
        ("192.0.2.1:0", "192.0.2.1"),
    ] {
        let error = names.start(text.parse().expect(text)).expect_err(text);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("fine").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_real_address_is_logged_port_0_included() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    let (names, _, address) = started().await;
    drop(guard);
    assert_ne!(address.port(), 0);
    assert_eq!(names.address(), Some(address));
    let text = String::from_utf8(log.0.lock().expect("fine").clone()).expect("text");
    let line = text
        .lines()
        .find(|line| line.contains("vm dns serving"))
        .expect(&text);
    assert!(
        line.contains("INFO") && line.contains(&address.to_string()),
        "{line}"
    );
}

#[tokio::test]
async fn a_second_start_leaves_the_first_server_as_it_is() {
    let (names, _, address) = started().await;
    let error = names.start(loopback()).expect_err("started");
    assert!(matches!(error, BindError::Already(running) if running == address));
    assert_eq!(names.address(), Some(address));
}

#[tokio::test]
async fn a_stop_without_a_start_and_a_second_one_are_fine() {
    let never = NameService::new(Resolver::default());
    assert!(never.stop().await.is_ok());
    let (names, _, address) = started().await;
    assert!(names.stop().await.is_ok() && names.stop().await.is_ok());
    assert_eq!(names.address(), None);
    // Both ports are free again at once.
    assert_eq!(names.start(address).expect("free"), address);
}

#[tokio::test]
async fn a_close_that_fails_is_told_once_and_the_server_is_forgotten() {
    let (names, _, address) = started().await;
    names.server().expect("running").fail();
    let error = names.stop().await.expect_err("a task has panicked");
    assert!(matches!(error, CloseError::Failed { address: failed, .. } if failed == address));
    assert_eq!(names.address(), None);
    assert!(names.stop().await.is_ok());
    assert!(names.start(address).is_ok());
}

#[tokio::test]
async fn set_remove_and_replace_do_nothing_without_a_server() {
    let resolver = Resolver::default();
    let names = NameService::new(resolver.clone());
    assert_eq!(names.set(&name("web"), [ip("172.16.0.2")]).await, Ok(()));
    assert_eq!(names.set(&name("web"), []).await, Ok(()));
    names.remove("web.vm");
    names.replace([(name("web"), addresses("172.16.0.2"))].into());
    names.ensure_routing().await;
    assert_eq!(resolver.count(), 0);
}

#[tokio::test]
async fn set_serves_the_name_and_then_tells_the_resolver() {
    let (names, resolver, address) = started().await;
    names
        .set(&name("web"), [ip("172.16.0.2"), ip("fd00::2")])
        .await
        .expect("set");
    assert_eq!(ask(address, "web.vm.").await, ["172.16.0.2", "fd00::2"]);
    assert_eq!(*resolver.ensured.lock().expect("fine"), [address]);
}

#[tokio::test]
async fn an_error_of_set_comes_before_the_resolver_is_told() {
    let (names, resolver, address) = started().await;
    for bad in ["127.0.0.1", "0.0.0.0", "ff02::1"] {
        assert!(names.set(&name("web"), [ip(bad)]).await.is_err());
    }
    assert!(names.set(&name("web"), []).await.is_err());
    assert_eq!(resolver.count(), 0);
    assert!(ask(address, "web.vm.").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_or_hangs_does_not_fail_set() {
    for (broken, hangs) in [(true, false), (false, true)] {
        let resolver = Resolver {
            broken,
            hangs,
            ..Resolver::default()
        };
        let names = NameService::new(resolver.clone());
        names.start(loopback()).expect("a free port");
        assert_eq!(names.set(&name("web"), [ip("172.16.0.2")]).await, Ok(()));
        names.revert_routing().await;
        assert_eq!(
            (resolver.count(), resolver.reverted.load(Ordering::Relaxed)),
            (1, 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_who_have_the_resolver_told_at_once_one_tells_it_and_one_again_for_the_rest() {
    let resolver = Resolver {
        hangs: true,
        ..Resolver::default()
    };
    let names = NameService::new(resolver.clone());
    names.start(loopback()).expect("a free port");
    let all = (0..50).map(|_| names.ensure_routing());
    futures_util::future::join_all(all).await;
    assert_eq!(resolver.count(), 2);
    names.ensure_routing().await;
    assert_eq!(resolver.count(), 3);
    // Its thread is not of the clock that stands still: it may come too late.
    let _late = names.stop().await;
    names.ensure_routing().await;
    assert_eq!(resolver.count(), 3, "there is nothing to tell of");
}

#[tokio::test]
async fn remove_takes_the_recorded_name_and_leaves_the_resolver_alone() {
    let (names, resolver, address) = started().await;
    for recorded in [record_name(&name("web")), "WEB.vm.".to_owned()] {
        names
            .set(&name("web"), [ip("172.16.0.2")])
            .await
            .expect("set");
        let told = resolver.count();
        for other in [
            "",
            ".",
            "vm",
            ".vm",
            "api.web.vm",
            "web",
            "web.com",
            "nobody.vm",
        ] {
            names.remove(other);
            assert_eq!(ask(address, "web.vm.").await, ["172.16.0.2"], "{other}");
        }
        names.remove(&recorded);
        assert!(ask(address, "web.vm.").await.is_empty());
        assert_eq!(resolver.count(), told);
    }
}

#[tokio::test]
async fn replace_changes_everything_at_once() {
    let (names, _, address) = started().await;
    // Whenever one asks, one of both is there: never none, never both under one address.
    let of = |letter: &str| [(name(letter), addresses("172.16.0.2"))].into();
    names
        .server()
        .expect("running")
        .authority()
        .set_subnets(vec![super::super::fixtures::prefix("172.16.0.0/24")]);
    names.replace(of("a"));
    let asking = tokio::spawn(async move {
        for _ in 0..200 {
            let ptr = super::sockets::ask_for_pointer(address, ip("172.16.0.2")).await;
            assert!(ptr == ["a.vm."] || ptr == ["b.vm."], "{ptr:?}");
        }
    });
    while !asking.is_finished() {
        names.replace(of("b"));
        tokio::task::yield_now().await;
        names.replace(of("a"));
        tokio::task::yield_now().await;
    }
    asking.await.expect("always one");
    assert!(ask(address, "b.vm.").await.is_empty());
}
