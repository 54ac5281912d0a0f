//! Bytes in, bytes out: listeners and streams. This room does not know MQTT.
