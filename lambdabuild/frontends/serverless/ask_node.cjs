// Loads a JavaScript or TypeScript file and says what it exports, as one line of JSON. Functions are called with what
// the Serverless Framework gives them; what they ask back is asked on stdout and answered on stdin.
// https://www.serverless.com/framework/docs/providers/aws/guide/variables#reference-properties-in-javascript-files
'use strict';

const fs = require('fs');
const path = require('path');
const { createRequire } = require('module');
const { pathToFileURL } = require('url');

const [file, address, options] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
process.stdout.write = process.stderr.write.bind(process.stderr); // what the file prints is not for us
const say = (message) => fs.writeSync(1, `${JSON.stringify(message)}\n`);

const waiting = [];
require('readline')
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { resolve, reject } = waiting.shift();
    const { value, error } = JSON.parse(line);
    if (error) reject(new Error(error));
    else resolve(value === null ? undefined : value);
  });
const ask = (kind, what) =>
  new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    say({ ask: kind, what });
  });
const given = {
  options,
  resolveVariable: (text) => ask('variable', text),
  resolveConfigurationProperty: (keys) => ask('property', keys),
};

const TYPESCRIPT = ['.ts', '.cts', '.mts'];

// What a project has that makes JavaScript of TypeScript: a loader, a compiler, or node itself.
function prepareTypeScript() {
  const near = createRequire(file);
  const found = (name) => {
    try {
      return near(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
      return undefined;
    }
  };
  if (path.extname(file) === '.ts') {
    for (const loader of ['tsx/cjs', 'ts-node/register/transpile-only', 'esbuild-register', '@swc-node/register']) {
      if (found(loader)) return true;
    }
  }
  if (process.features.typescript) return true;
  const esbuild = found('esbuild');
  const typescript = found('typescript');
  if (!esbuild && !(typescript && typescript.transpileModule)) return false; // version 7 compiles for nobody else
  const options = { compilerOptions: { module: 'commonjs', target: 'es2022', esModuleInterop: true } };
  const compiled = (text) =>
    esbuild
      ? esbuild.transformSync(text, { loader: 'ts', format: 'cjs', platform: 'node' }).code
      : typescript.transpileModule(text, options).outputText;
  for (const extension of TYPESCRIPT) {
    require.extensions[extension] = (module, name) => module._compile(compiled(fs.readFileSync(name, 'utf8')), name);
  }
  return true;
}

async function load() {
  if (TYPESCRIPT.includes(path.extname(file)) && !prepareTypeScript()) return { missing: 'typescript' };
  let found;
  try {
    found = require(file);
  } catch (error) {
    if (error.code !== 'ERR_REQUIRE_ESM' && !(error instanceof SyntaxError)) throw error;
    found = await import(pathToFileURL(file).href);
  }
  if (found && found.__esModule && found.default !== undefined) found = found.default;
  else if (found && Object.prototype.toString.call(found) === '[object Module]' && 'default' in found) found = found.default;
  let called = typeof found === 'function';
  found = await (called ? found(given) : found);
  for (const key of address ? address.split('.') : []) {
    if (found === undefined || found === null) break;
    found = found[key];
    if (!called && typeof found === 'function') {
      called = true;
      found = await found(given);
    } else {
      found = await found;
    }
  }
  return { value: found === undefined ? null : found };
}

load().then(
  (message) => {
    say(message);
    process.exit(0);
  },
  (error) => {
    say({ error: error && error.stack ? String(error.stack) : String(error) });
    process.exit(0);
  }
);
