// A service that logs JSON lines to standard output and sends a copy to sidelight. It uses only
// Node itself.
'use strict';

const net = require('node:net');

const path = process.env.SIDELIGHT_SOCKET || '/run/sidelight/log.sock';
// limit of the bytes that wait in memory while sidelight is not running; more is dropped
const WAITING_BYTES_MAX = 64 * 1024;

const sidelight = net.connect(path);
sidelight.on('error', () => {}); // without sidelight the service continues

function log(level, message, fields) {
  const line = JSON.stringify({ time: new Date().toISOString(), level, msg: message, service: 'cart', ...fields });
  process.stdout.write(line + '\n');
  if (sidelight.writable && sidelight.writableLength < WAITING_BYTES_MAX) {
    sidelight.write(line + '\n');
  }
}

for (let number = 0; number < 20; number += 1) {
  const status = number % 10 === 9 ? 500 : 200;
  log('info', 'request completed', { method: 'GET', url: `/carts/${number}`, status, duration_ms: 8.5 });
}
log('error', 'cart is gone', { error_type: 'RangeError' });
sidelight.end();
