// Package many services in one process of the Serverless Framework: most of a run's time goes into loading it.
// Standard input has a request a line, {folder, arguments}; standard output an answer a line, {code, out, err}.
// Whatever the framework and its own packages keep in memory is loaded anew for each service.
"use strict";

const path = require("path");
const readline = require("readline");

const script = path.resolve(process.argv[2], "../../scripts/serverless.js");
const packages = script.slice(0, script.lastIndexOf("node_modules") + "node_modules".length);
const own = ["serverless", "@serverless", "log", "log-node", "essentials", "memoizee"].map((name) => path.join(packages, name) + path.sep);
// What is the same for every service: the compiled schema, and where npm keeps what is global, which a process is started for.
const lasting = ["resolve-ajv-validate.js", path.join("npm-package", "is-global.js")];
const answer = process.stdout.write.bind(process.stdout);

const fs = require(require.resolve("graceful-fs", { paths: [script] }));
const gracefulify = fs.gracefulify;
let isPatched = false;
const environment = { ...process.env };
fs.gracefulify = (given) => (isPatched ? given : ((isPatched = true), gracefulify(given)));

async function run({ folder, arguments: given }) {
  for (const file of Object.keys(require.cache)) {
    if (lasting.some((name) => file.includes(name))) continue;
    if (own.some((name) => file.startsWith(name)) || !file.startsWith(packages)) delete require.cache[file];
  }
  const written = { stdout: "", stderr: "" };
  for (const name of Object.keys(written)) {
    process[name].write = (text, ...rest) => {
      written[name] += text;
      const done = rest.find((one) => typeof one === "function");
      if (done) done();
      return true;
    };
  }
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment); // a service's .env may have added to it
  process.chdir(folder);
  process.argv = [process.argv[0], script, ...given];
  process.exitCode = 0;
  EvalError.$serverlessCommandStartTime = process.hrtime();
  const summary = require(path.join(path.dirname(script), "../lib/utils/log-deprecation.js"));
  const print = summary.printSummary;
  await new Promise((resolve) => {
    summary.printSummary = async () => {
      await print.call(summary);
      setImmediate(resolve);
    };
    require(script);
  });
  process.removeAllListeners("uncaughtException");
  for (const signal of ["SIGINT", "SIGTERM", "SIGBREAK", "SIGUSR2"]) process.removeAllListeners(signal);
  const code = process.exitCode;
  process.exitCode = 0;
  return { code, out: written.stdout, err: written.stderr };
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    answer(JSON.stringify(await run(JSON.parse(line))) + "\n");
  }
  process.exit(0);
})();
