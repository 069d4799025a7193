// A service without a logger: JSON lines to standard output, and a copy to sidelight.
'use strict';

const http = require('node:http');
const { SidelightStream } = require('./sidelight');

const copy = new SidelightStream();

function log(fields) {
  const line = JSON.stringify({ time: new Date().toISOString(), level: 'info', ...fields }) + '\n';
  process.stdout.write(line);
  copy.write(line);
}

const server = http.createServer((request, response) => {
  const start = process.hrtime.bigint();
  response.on('finish', () => {
    const duration_ms = Number(process.hrtime.bigint() - start) / 1e6;
    const { method, url } = request;
    log({ msg: 'request completed', method, url, status: response.statusCode, duration_ms });
  });
  response.end('hello\n');
});
server.listen(process.env.PORT || 8080, '127.0.0.1');
