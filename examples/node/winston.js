// winston: JSON lines to the console and to sidelight.
'use strict';

const http = require('node:http');
const winston = require('winston');
const { SidelightStream } = require('./sidelight');

const logger = winston.createLogger({
  format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
  transports: [
    new winston.transports.Console(),
    new winston.transports.Stream({ stream: new SidelightStream() }),
  ],
});

const server = http.createServer((request, response) => {
  const start = process.hrtime.bigint();
  response.on('finish', () => {
    const duration_ms = Number(process.hrtime.bigint() - start) / 1e6;
    const { method, url } = request;
    logger.info('request completed', { method, url, status: response.statusCode, duration_ms });
  });
  response.end('hello\n');
});
server.listen(process.env.PORT || 8080, '127.0.0.1');
