//! Calls, each begun as a task of its own that replies when it is done.

use crate::agent::Shared;
use crate::channels::Channels;
use crate::fault::fault;
use crate::link::{Reply, ReplyTo};
use crate::root::Root;
use crate::session::{self, Session};
use crate::{dial, files, health, ports, usage};
use banger_proto::fault::FaultCode;
use banger_proto::guest::GENERATION;
use banger_proto::guest::message::{
    self, Answer, Call, Configure, GrowDisk, GuestFault, Health, Resumed,
};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, spawn_blocking, spawn_local};

/// How long the answer to a shutdown gets to reach the host before the guest ends.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How long what follows behind the answer to a resume waits: the first command goes first, and a guest
/// that lives no longer does not pay for it.
const LULL: Duration = Duration::from_secs(1);

/// What a call's stream has from its beginning.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    pub(crate) channels: Option<Rc<Channels>>,
    pub(crate) session: Option<Rc<Session>>,
    /// The task of a transfer: it ends with the stream.
    pub(crate) transfer: Option<AbortHandle>,
    /// Whether bytes or a notice follow the answer.
    pub(crate) outlives_answer: bool,
}

/// Begins a call.
pub(crate) fn begin(agent: &Rc<Shared>, body: &[u8], reply: ReplyTo) -> Begun {
    let call = match message::decode::<Call>(body) {
        Ok(call) => call,
        Err(_) => return answered(&reply, Err(unknown())),
    };
    match call {
        Call::Exec(exec) => with_session(session::exec(agent, exec, &reply), &reply),
        Call::Attach(attach) => with_session(session::attach(agent, &attach, &reply), &reply),
        Call::Forget(id) => {
            agent.sessions.forget(&id);
            agent.dials.forget(&id);
            answered(&reply, Ok(Answer::Done))
        }
        Call::DialSession { session, udp, port } => {
            let dialed = dial::dial_session(agent, session, udp, port, &reply);
            with_connection(dialed, &reply)
        }
        Call::AttachDial { session, from } => {
            with_connection(dial::attach(agent, &session, from, &reply), &reply)
        }
        Call::KeepDials(sessions) => {
            agent.dials.keep(&sessions);
            answered(&reply, Ok(Answer::Done))
        }
        Call::Put {
            path,
            mode,
            modified,
        } => {
            let channels = Rc::new(Channels::new(Rc::clone(&agent.wake), true));
            let task = files::put(Rc::clone(agent), path, mode, modified, Rc::clone(&channels));
            transfer(channels, false, reply_with(task, reply))
        }
        Call::Get(path) => {
            let channels = Rc::new(Channels::new(Rc::clone(&agent.wake), false));
            let task = files::get(Rc::clone(agent), path, Rc::clone(&channels), reply);
            transfer(channels, true, task)
        }
        Call::Dial { udp, port } => {
            let channels = Rc::new(Channels::new(Rc::clone(&agent.wake), true));
            let task = dial::dial(Rc::clone(agent), udp, port, Rc::clone(&channels), reply);
            transfer(channels, true, task)
        }
        other => {
            spawn_local(reply_with(simple(Rc::clone(agent), other), reply));
            Begun::default()
        }
    }
}

async fn reply_with(task: impl Future<Output = Result<Answer, GuestFault>>, reply: ReplyTo) {
    reply.send(Reply::Answer(task.await));
}

fn transfer(
    channels: Rc<Channels>,
    outlives_answer: bool,
    task: impl Future<Output = ()> + 'static,
) -> Begun {
    let transfer = Some(spawn_local(task).abort_handle());
    Begun {
        channels: Some(channels),
        session: None,
        transfer,
        outlives_answer,
    }
}

fn answered(reply: &ReplyTo, answer: Result<Answer, GuestFault>) -> Begun {
    reply.send(Reply::Answer(answer));
    Begun::default()
}

fn with_session(session: Result<Rc<Session>, GuestFault>, reply: &ReplyTo) -> Begun {
    match session {
        Err(fault) => answered(reply, Err(fault)),
        Ok(session) => Begun {
            channels: Some(Rc::clone(session.channels())),
            session: Some(session),
            transfer: None,
            outlives_answer: true,
        },
    }
}

fn with_connection(dialed: Result<Rc<dial::Lasting>, GuestFault>, reply: &ReplyTo) -> Begun {
    match dialed {
        Err(fault) => answered(reply, Err(fault)),
        Ok(lasting) => Begun {
            channels: Some(Rc::clone(lasting.channels())),
            session: None,
            transfer: None,
            outlives_answer: true,
        },
    }
}

fn unknown() -> GuestFault {
    let message = format!("the guest's agent (generation {GENERATION}) does not know this call");
    fault(FaultCode::Version, message)
}

/// Runs what may wait for a disk on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GuestFault> + Send + 'static,
) -> Result<T, GuestFault> {
    let ended = |error| fault(FaultCode::Failed, format_args!("the agent failed: {error}"));
    spawn_blocking(work).await.map_err(ended)?
}

async fn simple(agent: Rc<Shared>, call: Call) -> Result<Answer, GuestFault> {
    match call {
        Call::Configure(wanted) => configure(&agent, wanted).await,
        Call::Resumed(wanted) => resume(&agent, wanted).await,
        Call::Ports => blocking(|| Ok(Answer::Ports(ports::survey()))).await,
        Call::Health => health(&agent).await,
        Call::Usage => blocking(|| Ok(Answer::Usage(usage::survey()))).await,
        Call::Sync => sync(&agent).await,
        Call::LeaveNetwork => leave_network(&agent).await,
        Call::Shutdown => shutdown(&agent).await,
        Call::Grow { disk } => grow(&agent, disk).await,
        other => {
            let root = agent.world.root().await?;
            blocking(move || files::act(&root, &other)).await
        }
    }
}

async fn configure(agent: &Shared, wanted: Configure) -> Result<Answer, GuestFault> {
    let _turn = agent.configuring.lock().await;
    let root = agent.world.root().await?;
    let machine = Arc::clone(&agent.world.machine);
    let environment = wanted.environment.clone();
    let inside = Arc::clone(&root);
    let configured = blocking(move || machine.configure(&inside, &wanted)).await?;
    agent.environment.replace(environment);
    agent.configured.set(true);
    settle_later(agent, root);
    Ok(Answer::Configured(configured))
}

/// The guest goes on from saved memory. What may take long follows behind the answer.
async fn resume(agent: &Shared, wanted: Resumed) -> Result<Answer, GuestFault> {
    let _turn = agent.configuring.lock().await;
    let root = agent.world.root().await?;
    forget_settling(agent);
    if !wanted.keeps_sessions {
        agent.sessions.give_up();
    }
    // Of whoever had them nothing is left: a carrier ends with the VMM that it is beside.
    agent.dials.keep(&[]);
    let machine = Arc::clone(&agent.world.machine);
    let environment = wanted.configure.environment.clone();
    let inside = Arc::clone(&root);
    let configured = blocking(move || machine.resume(&inside, &wanted)).await?;
    agent.environment.replace(environment);
    agent.configured.set(true);
    agent.begin_anew();
    settle_later(agent, root);
    Ok(Answer::Configured(configured))
}

/// What follows behind the answer, if anything does.
fn settle_later(agent: &Shared, root: Arc<Root>) {
    let machine = Arc::clone(&agent.world.machine);
    let settling = spawn_local(async move {
        tokio::time::sleep(LULL).await;
        let _ = spawn_blocking(move || machine.settle(&root)).await;
    });
    forget_settling(agent);
    agent.settling.replace(Some(settling.abort_handle()));
}

/// Saved within the lull of an earlier resume, the guest has it still before it: it would cut this one's short.
fn forget_settling(agent: &Shared) {
    if let Some(earlier) = agent.settling.take() {
        earlier.abort();
    }
}

/// The host asks for it before it saves the guest or copies its disks.
async fn sync(agent: &Shared) -> Result<Answer, GuestFault> {
    let _turn = agent.configuring.lock().await;
    let root = agent.world.root().await?;
    let machine = Arc::clone(&agent.world.machine);
    blocking(move || {
        machine.prepare_to_resume(&root);
        machine.sync();
        Ok(Answer::Done)
    })
    .await
}

/// The host asks for it before it saves the guest of a template.
async fn leave_network(agent: &Shared) -> Result<Answer, GuestFault> {
    let _turn = agent.configuring.lock().await;
    let machine = Arc::clone(&agent.world.machine);
    blocking(move || machine.leave_network().map(|()| Answer::Done)).await
}

async fn health(agent: &Shared) -> Result<Answer, GuestFault> {
    let root = agent.world.root().await?;
    let vitals = health::survey();
    Ok(Answer::Health(Health {
        init: agent.world.machine.init_state(&root),
        uptime_ms: vitals.uptime_ms,
        memory_available_kib: vitals.memory_available_kib,
        memory_total_kib: vitals.memory_total_kib,
        sessions: agent.sessions.running(),
    }))
}

async fn grow(agent: &Shared, disk: GrowDisk) -> Result<Answer, GuestFault> {
    let root = agent.world.root().await?;
    let machine = Arc::clone(&agent.world.machine);
    blocking(move || {
        let bytes = machine.grow(&root, disk)?;
        Ok(Answer::Grown { bytes })
    })
    .await
}

async fn shutdown(agent: &Shared) -> Result<Answer, GuestFault> {
    let _turn = agent.configuring.lock().await;
    let machine = Arc::clone(&agent.world.machine);
    blocking(move || {
        machine.sync();
        Ok(())
    })
    .await?;
    let machine = Arc::clone(&agent.world.machine);
    spawn_local(async move {
        tokio::time::sleep(LAST_WORDS).await;
        let _ = spawn_blocking(move || machine.power_off()).await;
    });
    Ok(Answer::Done)
}
