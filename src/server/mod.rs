//! The machine room: threads, sockets, the clock, mailboxes, the lobby.
