// MQTT.js behind the line protocol of tests/clients (see parties.py).
//
// Called by the runner as a process; one JSON object a line, both ways. It adds nothing to what the library
// does: no reconnecting, no resubscribing.
'use strict'

const mqtt = require('mqtt')
const readline = require('readline')

const VERSIONS = { '3.1': 3, '3.1.1': 4, 5: 5 }
const connections = new Map()

function say (line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}

const camel = name => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())
const snake = name => name.replace(/[A-Z]/g, letter => '_' + letter.toLowerCase())

// Properties as the library wants them.
function sent (given) {
  if (!given) return undefined
  const properties = {}
  for (const [name, value] of Object.entries(given)) {
    if (name === 'user_properties') {
      properties.userProperties = {}
      for (const [key, text] of value) {
        const before = properties.userProperties[key]
        properties.userProperties[key] = before === undefined ? text : [].concat(before, text)
      }
    } else if (name === 'correlation_data') {
      properties.correlationData = Buffer.from(value, 'base64')
    } else if (name === 'payload_format_indicator') {
      properties.payloadFormatIndicator = value === 1
    } else if (name === 'request_problem_information') {
      properties.requestProblemInformation = value === 1
    } else {
      properties[camel(name)] = value
    }
  }
  return properties
}

// Properties as the line protocol has them.
function came (properties) {
  const shown = {}
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === 'userProperties') {
      shown.user_properties = Object.entries(value).flatMap(([key, text]) => [].concat(text).map(each => [key, each]))
    } else if (name === 'subscriptionIdentifier') {
      shown.subscription_identifiers = [].concat(value)
    } else if (Buffer.isBuffer(value)) {
      shown[snake(name)] = value.toString('base64')
    } else {
      shown[snake(name)] = typeof value === 'boolean' ? Number(value) : value
    }
  }
  return shown
}

function connect (given) {
  const { id, name } = given
  const version = VERSIONS[given.version]
  const options = {
    host: given.host,
    port: given.port,
    protocol: 'mqtt',
    protocolVersion: version,
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    clientId: given.client_id,
    clean: given.clean,
    keepalive: given.keep_alive,
    reconnectPeriod: 0,
    resubscribe: false
  }
  if (version === 5 && given.properties) options.properties = sent(given.properties)
  if (given.will) {
    options.will = { ...given.will, payload: Buffer.from(given.will.payload, 'base64') }
    delete options.will.properties
    if (version === 5 && given.will.properties) options.will.properties = sent(given.will.properties)
  }
  const client = mqtt.connect(options)
  connections.set(name, client)
  // The library tells Reason Codes of success to nobody else.
  client.reasons = new Map()
  client.on('packetreceive', packet => {
    if (packet.cmd === 'puback' || packet.cmd === 'pubrec') client.reasons.set(packet.messageId, packet.reasonCode || 0)
  })
  let answered = false
  client.on('connect', packet => {
    answered = true
    say({ id, ok: { session_present: packet.sessionPresent, properties: came(packet.properties) } })
  })
  client.on('error', error => {
    if (!answered) say({ id, error: error.message, reason: error.code })
    answered = true
  })
  let reason = 0
  let word = null
  client.on('disconnect', packet => {
    reason = packet.reasonCode
    word = came(packet.properties).reason_string || null
  })
  client.on('close', () => say({ name, ended: { reason, reason_string: word } }))
  client.on('message', (topic, payload, packet) => say({
    name,
    message: {
      topic,
      payload: payload.toString('base64'),
      qos: packet.qos,
      retain: packet.retain,
      dup: packet.dup,
      properties: came(packet.properties)
    }
  }))
}

function act (given) {
  const client = connections.get(given.name)
  const { id } = given
  const properties = client.options.protocolVersion === 5 ? sent(given.properties) : undefined
  if (given.do === 'publish') {
    const options = { qos: given.qos, retain: given.retain, properties }
    client.publish(given.topic, Buffer.from(given.payload, 'base64'), options, (error, packet) => {
      if (error) return say({ id, error: error.message, reason: error.code })
      say({ id, ok: { reason: client.reasons.get(packet?.messageId) || 0 } })
    })
  } else if (given.do === 'subscribe') {
    const filters = {}
    for (const each of given.filters) {
      filters[each.filter] = { qos: each.qos, nl: each.no_local, rap: each.retain_as_published, rh: each.retain_handling }
    }
    client.subscribe(filters, { properties }, (error, granted, packet) => {
      if (error && !packet) return say({ id, error: error.message, reason: error.code })
      say({ id, ok: { reasons: packet.granted, properties: came(packet.properties) } })
    })
  } else if (given.do === 'unsubscribe') {
    client.unsubscribe(given.filters, (error, packet) => {
      if (error) return say({ id, error: error.message, reason: error.code })
      say({ id, ok: { reasons: [].concat(packet?.granted ?? packet?.reasonCode ?? []) } })
    })
  } else if (given.do === 'disconnect') {
    client.end(false, { reasonCode: given.reason || 0, properties }, () => say({ id, ok: {} }))
  } else if (given.do === 'abort') {
    client.stream.destroy()
    say({ id, ok: {} })
  }
}

readline.createInterface({ input: process.stdin }).on('line', line => {
  const given = JSON.parse(line)
  try {
    if (given.do === 'connect') connect(given)
    else act(given)
  } catch (error) {
    say({ id: given.id, error: String(error) })
  }
}).on('close', () => process.exit(0))
