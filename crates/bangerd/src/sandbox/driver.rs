//! The driver: the one task that owns a sandbox's state.

mod cancelling;
mod watching;

use super::act::Work;
use super::command::{Command, Message, Reply};
use super::tracked::Tracked;
use super::works::{self, Done, Outcome};
use super::{
    Sandbox, View, admission, checkpointing, comparing, ports, reconcile, refused, rename,
    restoring, saving, set, taking, undoing,
};
use crate::guest::{LinkError, Met};
use crate::host_network::Wish;
use crate::last_use::LastUse;
use crate::layout::SandboxPaths;
use crate::operation::OpId;
use crate::progress::Progress;
use crate::publish::Listeners;
use crate::record::Record;
use crate::services::Services;
use crate::vmm::ExitReport;
use crate::vmm::console::Console;
use banger_model::SandboxState;
use banger_model::admission::Admission;
use banger_proto::fault::Fault;
use banger_proto::owner::event::What;
use futures_util::future::{BoxFuture, FutureExt, OptionFuture};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Where a sandbox that gets a driver comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was recorded just now, for this operation.
    New(OpId),
    /// A daemon before has left it: its driver first looks at what there is of the run before.
    Left,
    /// A daemon before has left it, and its record cannot be read: its driver touches nothing.
    Unreadable,
}

/// Starts the driver of a sandbox.
#[must_use]
pub fn spawn(services: Arc<Services>, record: Record, origin: Origin) -> Arc<Sandbox> {
    let (messages, inbox) = mpsc::channel(64);
    let id = record.id;
    let (view, watching) = watch::channel(View {
        record,
        link: None,
        agent_version: String::new(),
        trouble: None,
        stalled: None,
        adopting: origin == Origin::Left,
        gone: false,
    });
    let paths = SandboxPaths::of(&services.layout, id);
    let console = Console::new(paths.console_log(), paths.console_cut());
    let name = watching.borrow().record.name.clone();
    let sandbox = Arc::new_cyclic(|sandbox| Sandbox {
        id,
        console: Arc::new(console),
        messages,
        line: super::line::Line::default(),
        listeners: Arc::new(Listeners::new(
            name,
            Arc::clone(&services.endpoints),
            ports::target(watching.clone(), &paths, sandbox.clone()),
        )),
        view: watching,
        asked: LastUse::default(),
        sessions: AtomicU32::new(0),
        quiet_since: AtomicU64::new(0),
    });
    let listeners = Arc::clone(&sandbox.listeners);
    let view = Tracked::new(view, services.feed.clone());
    if let Origin::New(op) = origin {
        let image = view.borrow().record.spec.image.value.to_string();
        view.work_begins(Some(op));
        if view.borrow().record.spec.pooled.is_none() {
            view.tell(What::Created { image });
        }
        view.work_ends();
    }
    let driver = Driver {
        paths,
        services,
        view: Arc::new(view),
        listeners,
        inbox,
        waiting: VecDeque::new(),
        making: Arc::default(),
        work: None,
        vmm_end: None,
        link_end: None,
        stall: None,
    };
    tokio::spawn(driver.run(origin == Origin::Left));
    sandbox
}

/// A piece of work under way, and who waits for it.
struct UnderWay {
    future: BoxFuture<'static, Outcome>,
    reply: Option<Reply>,
    /// It deletes the sandbox: nothing overtakes that.
    deletes: bool,
    /// Whose it is.
    op: OpId,
    /// Whether it can be undone while it goes on.
    can_be_undone: bool,
}

struct Driver {
    services: Arc<Services>,
    paths: SandboxPaths,
    view: Arc<Tracked>,
    listeners: Arc<Listeners>,
    inbox: mpsc::Receiver<Message>,
    /// Commands that the table lets wait.
    waiting: VecDeque<Command>,
    /// See [`Work::making`].
    making: Arc<tokio::sync::Mutex<()>>,
    work: Option<UnderWay>,
    /// Ends when the VMM does.
    vmm_end: Option<BoxFuture<'static, ExitReport>>,
    /// Ends when the link is lost, or made again.
    link_end: Option<BoxFuture<'static, LinkEvent>>,
    /// Ends when the guest is paused for want of room, or goes on again.
    stall: Option<BoxFuture<'static, bool>>,
}

enum LinkEvent {
    Lost(Arc<LinkError>),
    Made(Met),
}

/// Everything that can happen to a driver.
enum Event {
    Message(Message),
    WorkDone(Outcome),
    VmmEnded(ExitReport),
    Link(LinkEvent),
    /// The guest is paused for want of room, or goes on.
    Stalled(bool),
    /// Nobody holds a handle any more.
    Abandoned,
}

impl Driver {
    async fn run(mut self, adopt: bool) {
        if adopt {
            self.begin(None, Progress::silent(), |work| {
                reconcile::reconcile(work, true).boxed()
            });
        }
        loop {
            match self.next().await {
                Event::Message(Message::Command(command)) => self.judge(command),
                Event::Message(Message::Cancel(op, answer)) => {
                    // Whoever asked may have left.
                    let _nobody_waits = answer.send(self.cancel(op));
                }
                Event::WorkDone(outcome) => {
                    Self::settle_ports(&self.view, &self.listeners).await;
                    self.settle_name();
                    if self.finish(outcome) {
                        return;
                    }
                }
                Event::VmmEnded(report) => self.vmm_ended(&report),
                Event::Link(event) => self.link_changed(event),
                Event::Stalled(stalled) => self.stall_changed(stalled),
                Event::Abandoned => return,
            }
        }
    }

    /// The ports of a guest that does not run are closed before anybody is told that it does not. Those of one
    /// that is suspended stay open, and who connects wakes it.
    async fn settle_ports(view: &Tracked, listeners: &Arc<Listeners>) {
        let record = view.borrow().record.clone();
        match record.state {
            SandboxState::Running => {}
            SandboxState::Suspended => listeners.sleep(&record.spec.publish).await,
            _ => listeners.close().await,
        }
    }

    /// The name of a guest on the bridge wakes it while it is suspended.
    fn settle_name(&self) {
        let record = self.view.borrow().record.clone();
        let network = &self.services.host_network;
        match (record.state, record.network) {
            (SandboxState::Suspended, Some(place)) => {
                let wish = Wish::of(record.id, &record.name, &record.spec, place.host_part);
                network.sleeps(record.id, wish);
            }
            _ => network.sleeps_no_more(record.id),
        }
    }

    async fn next(&mut self) -> Event {
        let Self {
            inbox,
            work,
            vmm_end,
            link_end,
            stall,
            ..
        } = self;
        let work = OptionFuture::from(work.as_mut().map(|under_way| &mut under_way.future));
        let vmm_end = OptionFuture::from(vmm_end.as_mut());
        let link_end = OptionFuture::from(link_end.as_mut());
        let stall = OptionFuture::from(stall.as_mut());
        tokio::select! {
            Some(outcome) = work => Event::WorkDone(outcome),
            message = inbox.recv() => message.map_or(Event::Abandoned, Event::Message),
            Some(report) = vmm_end => Event::VmmEnded(report),
            Some(event) = link_end => Event::Link(event),
            Some(stalled) = stall => Event::Stalled(stalled),
        }
    }

    /// Looks a command up in the admission table and follows it.
    fn judge(&mut self, command: Command) {
        if command.is_abandoned() {
            // Whoever waited has left: nothing was begun for them.
            return;
        }
        let view = self.view.borrow().clone();
        if view.adopting && !self.overtakes(&command) {
            // What the record says was true for the daemon before.
            self.waiting.push_back(command);
            return;
        }
        let admission = match command.request() {
            Some(request) => admission(&view, request),
            None => Admission::Go,
        };
        match admission {
            Admission::Go if self.work.is_some() && !self.overtakes(&command) => {
                self.waiting.push_back(command);
            }
            Admission::Go => self.act(command),
            Admission::Wait | Admission::AlreadySo if self.work.is_some() => {
                // What is so now need not be so after the work under way.
                self.waiting.push_back(command);
            }
            // In between, with nothing under way that would end it: the table's "wait" has no end. Who uses
            // a guest asks for a start of its own, see `Sandbox::guest`.
            Admission::Wait | Admission::Wake => self.act(command),
            Admission::AlreadySo => answer(command.into_reply(), Ok(view.record)),
            Admission::Refuse(refusal) => {
                answer(command.into_reply(), Err(refused(&view, refusal)));
            }
        }
    }

    /// Whether a command does not wait for the work under way. A second deletion waits for the first,
    /// which may not have been recorded yet: whoever asked for that would be told that it failed.
    fn overtakes(&self, command: &Command) -> bool {
        let deletes = self.work.as_ref().is_some_and(|work| work.deletes);
        !deletes && matches!(command, Command::Kill(..) | Command::Delete(..))
    }

    fn act(&mut self, command: Command) {
        self.cancel_work();
        let can_be_undone = command.can_be_undone();
        self.begin_command(command);
        if let Some(work) = &mut self.work {
            work.can_be_undone = can_be_undone;
        }
    }

    fn begin_command(&mut self, command: Command) {
        match command {
            Command::Prepare(seed, progress, reply) => {
                self.begin(Some(reply), progress, |work| {
                    works::prepare(work, seed).boxed()
                });
            }
            Command::Take(taking, progress, reply) => {
                self.begin(Some(reply), progress, |work| {
                    taking::take(work, *taking).boxed()
                });
            }
            Command::Snapshot(wanted, progress, reply) => {
                self.begin(Some(reply), progress, |work| {
                    saving::snapshot(work, wanted).boxed()
                });
            }
            Command::Suspend(progress, reply) => {
                self.begin(Some(reply), progress, |work| saving::suspend(work).boxed());
            }
            Command::Restore(back, progress, reply) => {
                self.begin(Some(reply), progress, |work| {
                    restoring::restore(work, back).boxed()
                });
            }
            Command::Diff(comparison, reply) => {
                self.begin(Some(reply), Progress::silent(), |work| {
                    comparing::compare(work, comparison).boxed()
                });
            }
            Command::Checkpoint(command, progress, reply) => {
                self.begin(Some(reply), progress, |work| {
                    checkpointing::checkpoint(work, command).boxed()
                });
            }
            Command::Undo(number, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    undoing::undo(work, number).boxed()
                });
            }
            Command::Start(wait, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    works::start(work, wait).boxed()
                });
            }
            Command::Stop(progress, reply) => {
                self.begin(Some(reply), progress, |work| works::stop(work).boxed());
            }
            Command::StopUnused(limit, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    works::stop_unused(work, limit).boxed()
                });
            }
            Command::SuspendUnused(limit, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    saving::suspend_unused(work, limit).boxed()
                });
            }
            Command::Restart(wait, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    works::restart(work, wait).boxed()
                });
            }
            Command::Kill(signal, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    works::kill(work, signal).boxed()
                });
            }
            Command::Delete(progress, reply) => {
                self.begin(Some(reply), progress, |work| works::delete(work).boxed());
                self.work.iter_mut().for_each(|work| work.deletes = true);
            }
            Command::Prune(progress, reply) => {
                self.begin(Some(reply), progress, |work| works::prune(work).boxed());
                self.work.iter_mut().for_each(|work| work.deletes = true);
            }
            Command::Set(request, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    set::set(work, request).boxed()
                });
            }
            Command::Repair(progress, reply) => {
                self.begin(Some(reply), progress, |work| {
                    reconcile::reconcile(work, false).boxed()
                });
            }
            Command::Rename(new, progress, reply) => {
                self.begin(Some(reply), progress, move |work| {
                    rename::rename(work, new).boxed()
                });
            }
            Command::Publish(new, reply) => {
                let silent = Progress::silent();
                self.begin(Some(reply), silent, move |work| {
                    ports::publish(work, new).boxed()
                });
            }
            Command::Unpublish(which, reply) => {
                let silent = Progress::silent();
                self.begin(Some(reply), silent, move |work| {
                    ports::unpublish(work, which).boxed()
                });
            }
        }
    }

    fn begin(
        &mut self,
        reply: Option<Reply>,
        progress: Progress,
        make: impl FnOnce(Work) -> BoxFuture<'static, Outcome>,
    ) {
        self.view.work_begins(progress.operation());
        let new_work = |progress| Work {
            services: Arc::clone(&self.services),
            paths: self.paths.clone(),
            view: Arc::clone(&self.view),
            listeners: Arc::clone(&self.listeners),
            making: Arc::clone(&self.making),
            seed: None,
            progress,
            begun: Instant::now(),
            started: None,
        };
        let op = progress.op();
        let spare = new_work(Progress::silent());
        // A panic isolates this sandbox: it becomes a failure of its work.
        let future = AssertUnwindSafe(make(new_work(progress)))
            .catch_unwind()
            .map(|finished| finished.unwrap_or_else(|_| works::broke_off(spare)))
            .then(Outcome::recorded)
            .boxed();
        self.work = Some(UnderWay {
            future,
            reply,
            op,
            can_be_undone: false,
            deletes: false,
        });
    }

    /// Notes what the work came to; true when the sandbox is deleted.
    fn finish(&mut self, Outcome { work, result }: Outcome) -> bool {
        let reply = self.work.take().and_then(|under_way| under_way.reply);
        self.view.send_modify(|view| view.adopting = false);
        let (result, deleted) = match result {
            Ok(Done::Deleted) => (Ok(work.record()), true),
            Ok(Done::Stays) => (Ok(work.record()), false),
            Err(failure) => (Err(failure.fault), false),
        };
        if let Some(started) = work.started {
            self.view.send_modify(|view| {
                view.link = Some(started.link);
                view.agent_version = started.agent_version;
                view.trouble = None;
            });
        }
        self.watch_guest();
        if deleted {
            self.services.forget(self.view.borrow().record.id);
            self.view.send_modify(|view| view.gone = true);
        }
        self.view.work_ends();
        if let Some(reply) = reply {
            answer(reply, result);
        }
        for command in std::mem::take(&mut self.waiting) {
            match command {
                // It is what they wanted, whoever did it.
                Command::Delete(_, reply) if deleted => {
                    answer(reply, Ok(self.view.borrow().record.clone()));
                }
                command if deleted => drop(command),
                command => self.judge(command),
            }
        }
        deleted
    }

    /// The VMM ended though nobody asked for it here: the guest powered off, or somebody killed it.
    fn vmm_ended(&mut self, report: &ExitReport) {
        self.vmm_end = None;
        self.link_end = None;
        if self.work.is_some() {
            // A stop or kill is under way and sees to the rest.
            return;
        }
        let reason = format!("its VMM {report}");
        tracing::info!(sandbox = %self.view.borrow().record.name, "{reason}");
        let silent = Progress::silent();
        self.begin(None, silent, move |work| {
            works::note_end(work, reason).boxed()
        });
    }
}

fn answer(reply: Reply, result: Result<Record, Fault>) {
    // Whoever asked may have left: the work is done all the same.
    let _nobody_waits = reply.send(result);
}
