//! Serving the control socket: accept, check who it is, converse.
//!
//! Called by `daemon` with a runtime of its own; nothing here holds a shard's lock or waits on
//! one, and a connection costs the broker nothing until it asks something.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::{Listener, prelude::*};
use nix::unistd::Gid;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use super::conversation::Conversation;
use super::crowd::{CONNECTIONS_MAX, Crowd};
use super::door::Door;
use super::peer;
use crate::admin::{Answers, Problem};

/// Pause after a failed accept (no descriptors left, as a rule).
const ACCEPT_PAUSE_MS: u64 = 100;

/// A control socket being served; dropping it ends all conversations and removes the file.
#[derive(Debug)]
pub struct Serving {
    task: JoinHandle<()>,
}

/// Serves a control socket on `runtime` (which needs I/O and time enabled) until the returned
/// value is dropped or [`Serving::shutdown`].
///
/// # Errors
/// The listener could not be handed to the runtime.
pub fn serve(door: Door, answers: Arc<dyn Answers>, runtime: &Handle) -> io::Result<Serving> {
    let _inside = runtime.enter();
    let Door { listener, operators } = door;
    let interprocess::local_socket::Listener::UdSocket(listener) = listener;
    let listener = Listener::UdSocket(listener.try_into()?);
    let task = runtime.spawn(accept(listener, operators, answers));
    Ok(Serving { task })
}

impl Serving {
    /// Ends all conversations and removes the socket file.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: Listener, operators: Gid, answers: Arc<dyn Answers>) {
    let crowd = Arc::new(Crowd::default());
    let mut conversations = JoinSet::new();
    loop {
        let Ok(stream) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            continue;
        };
        while conversations.try_join_next().is_some() {}
        let refusal = if !peer::is_operator(&stream, operators) {
            Problem::new("permission_denied", "only root and operators may do this")
                .hint("operators are the members of the socket's group")
        } else if let Some((seat, told)) = crowd.seat() {
            let conversation = Conversation {
                stream,
                answers: Arc::clone(&answers),
                seat,
                told,
                read: Vec::new(),
            };
            conversations.spawn(conversation.run());
            continue;
        } else {
            Problem::new(
                "busy",
                format!("all {CONNECTIONS_MAX} control connections are waiting for answers"),
            )
            .hint("try again")
        };
        Conversation::refuse(stream, refusal).await;
    }
}
