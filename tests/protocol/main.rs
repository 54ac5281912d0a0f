//! The protocol, as dialogues on the wire: what a client sends and what it must then hear.
//!
//! One file a chapter. Each dialogue runs against shards in memory (one, and two that exchange
//! letters) with a time of its own, and over real sockets against the server; see `kit`. Dialogues
//! that need time to pass run in memory alone.

mod kit;

mod alias;
mod authenticate;
mod before_5;
mod connect;
mod delivery;
mod durable;
mod full_store;
mod full_store_wills;
mod greeting;
mod introduction;
mod keep_alive;
mod limits;
mod properties;
mod property_table;
mod publish;
mod queues;
mod reasons;
mod redirect;
mod retained;
mod session;
mod shared;
mod shared_choice;
mod shared_recall;
mod shared_redelivery;
mod sizes;
mod subscribe;
mod sys;
mod takeover;
mod text;
mod unreliable;
mod unsubscribe;
mod will;
mod wire;
