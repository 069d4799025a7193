// A script that ends at once: its last lines are sent before it does.
'use strict';

const { SidelightStream } = require('./sidelight');

const copy = new SidelightStream();

function log(level, message, fields) {
  const line = JSON.stringify({ time: new Date().toISOString(), level, msg: message, service: 'cart', ...fields });
  process.stdout.write(line + '\n');
  copy.write(line + '\n');
}

for (let number = 0; number < 20; number += 1) {
  const status = number % 10 === 9 ? 500 : 200;
  log('info', 'request completed', { method: 'GET', url: `/carts/${number}`, status, duration_ms: 8.5 });
}
log('error', 'cart is gone', { error_type: 'RangeError' });
