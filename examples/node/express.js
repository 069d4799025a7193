// Express with morgan: an access log with the duration, to standard output and to sidelight.
'use strict';

const express = require('express');
const morgan = require('morgan');
const { SidelightStream } = require('./sidelight');

const copy = new SidelightStream();
const both = { write: (line) => { process.stdout.write(line); copy.write(line); } };
const timed = ':remote-addr - :remote-user [:date[clf]] ":method :url HTTP/:http-version" :status '
  + ':res[content-length] ":referrer" ":user-agent" :response-time ms';

const app = express();
app.use(morgan(timed, { stream: both }));
app.get('/users/:id', (request, response) => response.send('hello\n'));
app.listen(process.env.PORT || 8080, '127.0.0.1');
