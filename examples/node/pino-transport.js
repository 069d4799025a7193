// pino with a transport: a worker thread writes to standard output and to sidelight.
'use strict';

const http = require('node:http');
const pino = require('pino');
const pinoHttp = require('pino-http');

const transport = pino.transport({
  targets: [
    { target: 'pino/file', options: { destination: 1 } },
    { target: require.resolve('./sidelight.js') },
  ],
});
const logger = pino({}, transport);

const logRequest = pinoHttp({ logger });
const server = http.createServer((request, response) => {
  logRequest(request, response);
  response.end('hello\n');
});
server.listen(process.env.PORT || 8080, '127.0.0.1');
