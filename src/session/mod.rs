//! One client's protocol state: inbound and outbound windows, queue, aliases, will, subscriptions.
