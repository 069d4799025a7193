<?php
// Monolog: JSON lines to standard error and to sidelight. php -S 127.0.0.1:8080 index.php
require getenv('MONOLOG_AUTOLOAD') ?: __DIR__ . '/vendor/autoload.php';

use Monolog\Formatter\JsonFormatter;
use Monolog\Handler\SocketHandler;
use Monolog\Handler\StreamHandler;
use Monolog\Handler\WhatFailureGroupHandler;
use Monolog\Logger;

$socket = getenv('SIDELIGHT_SOCKET') ?: '/run/sidelight/log.sock';
$copy = new SocketHandler("unix://$socket");
$copy->setFormatter(new JsonFormatter());
$copy->setConnectionTimeout(0.05);
$copy->setTimeout(0);

$console = new StreamHandler('php://stderr');
$console->setFormatter(new JsonFormatter());

$logger = new Logger('shop');
$logger->pushHandler($console);
// a SocketHandler alone raises an exception while sidelight does not run
$logger->pushHandler(new WhatFailureGroupHandler([$copy]));

$start = hrtime(true);
echo "hello\n";
$logger->info('request', [
    'method' => $_SERVER['REQUEST_METHOD'],
    'path' => parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH),
    'status' => http_response_code(),
    'duration_ms' => (hrtime(true) - $start) / 1e6,
]);
