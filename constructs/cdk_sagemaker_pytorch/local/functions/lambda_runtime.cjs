// Run invocations of a Node.js Lambda function one after another, as the Lambda runtime does: what
// lambda_runtime.py is for Python, with the same files and pipes in the folder of the command line.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const folder = process.argv[2];
const endpoint = new URL(process.env.AWS_ENDPOINT_URL);
const answers = fs.openSync(path.join(folder, 'answers'), 'w');
let handler;

// The CDK's own functions answer CloudFormation by https and without a port, whatever the URL says.
const secureRequest = https.request;
https.request = function request(...args) {
  const options = args.find((arg) => typeof arg === 'object' && !(arg instanceof URL));
  const given = args[0] instanceof URL ? args[0] : typeof args[0] === 'string' ? new URL(args[0]) : options;
  if (given.hostname !== endpoint.hostname) return secureRequest.apply(this, args);
  const target = { path: given.path ?? `${given.pathname}${given.search ?? ''}`, ...options };
  const callback = args.find((arg) => typeof arg === 'function');
  return http.request({ ...target, hostname: endpoint.hostname, port: endpoint.port, agent: undefined }, callback);
};

async function load({ handler: name, path: [root] }) {
  const dot = name.lastIndexOf('.');
  const [file, exported] = [path.resolve(root, name.slice(0, dot)), name.slice(dot + 1)];
  const found = ['.js', '.cjs', '.mjs'].map((suffix) => file + suffix).find((candidate) => fs.existsSync(candidate));
  if (found === undefined) {
    throw named('Runtime.ImportModuleError', `Error: Cannot find module '${name.slice(0, dot)}'`);
  }
  let loaded;
  try {
    loaded = found.endsWith('.mjs') ? await import(pathToFileURL(found)) : require(found);
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ESM') loaded = await import(pathToFileURL(found));
    else if (/MODULE_NOT_FOUND$/.test(error.code)) throw missing(error);
    else throw error;
  }
  const result = loaded[exported] ?? loaded.default?.[exported];
  if (typeof result !== 'function') throw named('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  return result;
}

function missing(error) {
  const [, module] = /'(aws-sdk|@aws-sdk\/[\w-]+|@smithy\/[\w-]+)'/.exec(error.message) ?? [];
  if (module === undefined) return named('Runtime.ImportModuleError', `Error: ${error.message}`);
  const remedy = `npm install --prefix ${path.dirname(process.env.NODE_PATH)} ${module}`;
  return named('LocalAws.NotRun', `it needs ${module}, which Lambda has and this machine has not: ${remedy}`);
}

function named(name, message) {
  const error = new Error(message);
  error.name = name;
  error.stack = '';
  return error;
}

function contextOf(given) {
  return {
    awsRequestId: given.aws_request_id,
    callbackWaitsForEmptyEventLoop: true,
    functionName: given.function_name,
    functionVersion: given.function_version,
    invokedFunctionArn: given.invoked_function_arn,
    logGroupName: given.log_group_name,
    logStreamName: given.log_stream_name,
    memoryLimitInMB: given.memory_limit_in_mb,
    getRemainingTimeInMillis: () => Math.max(0, given.deadline_ms - Date.now()),
  };
}

function call(event, context) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => (error ? reject(error) : resolve(result));
    const returned = handler(event, context, callback);
    if (returned && typeof returned.then === 'function') returned.then(resolve, reject);
    else if (handler.length < 3) resolve(returned);
  });
}

function failure(error) {
  const { name = 'Error', message = String(error), stack = '' } = error ?? {};
  console.error(stack || `${name}: ${message}`);
  return { error: { errorType: name, errorMessage: message, trace: String(stack).split('\n') } };
}

function send(answer) {
  fs.writeFileSync(path.join(folder, 'answer.json'), JSON.stringify(answer));
  fs.writeSync(answers, '\n');
}

async function invoke() {
  const invocation = JSON.parse(fs.readFileSync(path.join(folder, 'invocation.json'), 'utf8'));
  const requestId = invocation.context.aws_request_id;
  fs.writeSync(1, `START RequestId: ${requestId} Version: $LATEST\n`);
  const ended = (answer) => {
    fs.writeSync(1, `END RequestId: ${requestId}\n`);
    send(answer);
  };
  // A fault outside of the handler's own promise ends the process, as on AWS; its answer is that fault.
  const broken = (error) => {
    ended(failure(error));
    process.exit(1);
  };
  process.removeAllListeners('uncaughtException').on('uncaughtException', broken);
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', broken);
  try {
    handler ??= await load(invocation);
    ended({ result: (await call(invocation.event, contextOf(invocation.context))) ?? null });
  } catch (error) {
    ended(failure(error));
  }
}

async function main() {
  // As a socket: a read of a file stream blocks a thread, which the end of the process would wait for.
  const fd = fs.openSync(path.join(folder, 'requests'), fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  for await (const bytes of new net.Socket({ fd, readable: true, writable: false })) {
    for (const _ of bytes) await invoke();
  }
}

main();
