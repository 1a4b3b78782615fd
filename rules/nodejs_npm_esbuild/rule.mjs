// Bundle a function with esbuild. One JSON-RPC request comes on standard input, one response goes to standard output.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { EXTENSIONS, outside } from "./outside.mjs";
import { adopt, whole } from "./store.mjs";

const LISTS = ["external", "conditions", "drop", "drop_labels", "inject", "main_fields", "pure", "resolve_extensions"];
const OURS = ["entry_points", "handler", "mode", "omit", "include", "ignore_scripts", "ship", "esbuild_version"];
const NO_SUCH_STEP = -32601, MISTAKE = 400, BROKEN = 500;

class Mistake extends Error {
  constructor(message, data) {
    super(message);
    this.data = data;
  }
}

async function compile(job) {
  const { target } = job, options = target.options;
  const place = mirror(job), modules = dependencies(job);
  for (const folder of modules ? new Set([place.manifest, place.tree]) : []) {
    fs.symlinkSync(modules, path.join(folder, "node_modules"));
  }
  const notes = [];
  const esbuild = await findEsbuild(job, modules, notes);
  const entries = entryPoints(job, place.source), around = outside(place, place.base, options.tsconfig);
  const ship = list(options.ship);
  const result = await esbuild
    .build({
      ...defaults(target), ...flags(options),
      entryPoints: entries, external: [...list(options.external), ...ship],
      // As if it were written beside the source, so that source maps name no folder of this machine.
      // Without outbase outputs lie below the folder that all entry points share.
      ...(options.outbase ? { outbase: path.resolve(place.source, options.outbase) } : {}),
      absWorkingDir: place.source, outdir: place.source, allowOverwrite: true, write: false,
      bundle: true, platform: "node", preserveSymlinks: true, metafile: true, logLevel: "silent",
      plugins: [around.plugin],
    })
    .catch((error) => { throw explained(error, job, place); });
  for (const file of result.outputFiles) {
    const written = path.join(job.out, path.relative(place.source, file.path));
    fs.mkdirSync(path.dirname(written), { recursive: true });
    fs.writeFileSync(written, file.contents);
  }
  shipped(ship.filter((name) => isImported(name, result.metafile)), modules, job.out);
  return {
    parts: [{ path: job.out }],
    reads: around.reads(result.metafile),
    notes: [...notes, ...result.warnings.map((warning) => `esbuild: ${said(warning)}`)],
  };
}

// The source as it lies in the project, in a place where packages can be put beside it.
function mirror(job) {
  const { target } = job, tree = path.join(job.scratch, "tree");
  const base = [target.checkout, target.project].find((folder) => folder && `${target.source}/`.startsWith(`${folder}/`));
  const at = (folder) => path.join(tree, path.relative(base ?? target.project, folder).replaceAll("..", "__"));
  const source = at(target.source), manifest = target.manifest ? at(path.dirname(target.manifest)) : source;
  for (const folder of [source, manifest]) fs.mkdirSync(folder, { recursive: true });
  for (const file of job.files) {
    fs.mkdirSync(path.dirname(path.join(source, file)), { recursive: true });
    fs.copyFileSync(path.join(target.source, file), path.join(source, file));
  }
  for (const part of job.earlier.resolve?.parts ?? []) {
    if (part.replaces_source) fs.cpSync(part.path, source, { recursive: true, force: true });
  }
  if (target.manifest) fs.copyFileSync(target.manifest, path.join(manifest, "package.json"));
  return { tree, source, manifest, base: base ?? target.project };
}

function dependencies(job) {
  const parts = job.earlier.resolve?.parts ?? [];
  const found = parts.map((part) => path.join(part.path, "node_modules")).find((folder) => fs.existsSync(folder));
  return found ?? null;
}

// The version that the project pins, for this machine; else the one that was asked for, else the one on PATH.
async function findEsbuild(job, modules, notes) {
  const pinned = modules && path.join(modules, "esbuild", "package.json");
  if (pinned && fs.existsSync(pinned)) {
    const { version } = JSON.parse(fs.readFileSync(pinned, "utf8"));
    const cpu = { x86_64: "x64", arm64: "arm64" }[job.target.architecture];
    if (process.platform === "linux" && process.arch === cpu) return load(path.dirname(pinned));
    return load(installed(job, version, notes));
  }
  if (job.target.options.esbuild_version) return load(installed(job, job.target.options.esbuild_version, notes));
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    const program = path.join(folder, "esbuild");
    if (!fs.existsSync(program)) continue;
    const module = path.dirname(path.dirname(fs.realpathSync(program)));
    if (fs.existsSync(path.join(module, "lib", "main.js"))) return load(module);
  }
  throw new Mistake("esbuild is neither a dependency in package.json nor on PATH", {
    kind: "ToolMissing", help: "npm install --save-dev esbuild",
  });
}

const load = (folder) => createRequire(path.join(folder, "package.json"))(folder);

function installed(job, version, notes) {
  const home = path.join(job.store, "tools", `esbuild-${version}-${process.platform}-${process.arch}`);
  const inside = (folder) => path.join(folder, "node_modules", "esbuild");
  const kept = whole(home, (folder) => notes.push(`${folder} is not what its name promises: esbuild is installed again`));
  if (kept) return inside(kept);
  const fresh = path.join(job.scratch, "esbuild");
  fs.mkdirSync(fresh);
  fs.writeFileSync(path.join(fresh, "package.json"), "{}");
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error", job.offline ? "--offline" : "--prefer-offline"];
  try {
    execFileSync("npm", ["install", ...quiet, `esbuild@${version}`], { cwd: fresh, stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    throw new Mistake(`npm could not install esbuild ${version} for this machine`, { kind: "CannotResolve", tail: String(error.stderr) });
  }
  return inside(adopt(fresh, home));
}

// options

function entryPoints(job, source) {
  const { options, kind, name } = job.target;
  const given = list(options.entry_points);
  const handler = String(options.handler ?? "");
  const wanted = given.length ? given : handler ? [moduleOf(handler)] : [];
  if (!wanted.length) {
    throw new Mistake("esbuild has no entry point", { kind: "BadSource", help: `give ${kind} ${name} EntryPoints` });
  }
  return wanted.map((entry) => {
    const found = ["", ...EXTENSIONS].map((end) => entry + end).find((file) => isFile(path.join(source, file)));
    if (found) return path.join(source, found);
    throw new Mistake(`the entry point ${entry} does not exist`, {
      kind: "BadSource", help: `tried ${EXTENSIONS.map((end) => entry + end).join(", ")}; correct the handler or EntryPoints`,
    });
  });
}

// As Lambda has it: up to the first dot of the last part of the path.
function moduleOf(handler) {
  const name = handler.slice(handler.lastIndexOf("/") + 1);
  return handler.slice(0, handler.length - name.length) + name.split(".")[0];
}

const isFile = (file) => fs.existsSync(file) && fs.statSync(file).isFile();
const list = (value) => (Array.isArray(value) ? value : value ? String(value).split(",") : []);

function defaults(target) {
  const number = /^nodejs(\d+)/.exec(target.runtime);
  const debug = String(target.options.mode ?? "").toLowerCase() === "debug";
  const esm = target.options.format === "esm";
  return {
    target: number ? `node${number[1]}` : "es2020",
    format: "cjs",
    minify: !debug,
    ...(debug ? { sourcemap: true } : {}),
    ...(esm ? { outExtension: { ".js": ".mjs" } } : {}), // Lambda takes .js for CommonJS
  };
}

// minify: true, Loader: [".png=file"], define: {A: "b"} as esbuild's JavaScript has them.
function flags(options) {
  const found = {};
  for (const [name, value] of Object.entries(options)) {
    if (OURS.includes(name) || name === "external" || value === null) continue;
    const key = name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
    if (Array.isArray(value) && !LISTS.includes(name) && value.every((item) => /^[^=]+=/.test(item))) {
      found[key] = Object.fromEntries(value.map((item) => [item.slice(0, item.indexOf("=")), item.slice(item.indexOf("=") + 1)]));
    } else if (LISTS.includes(name) || name === "target") {
      found[key] = list(value);
    } else if (["banner", "footer"].includes(name) && typeof value === "string") {
      found[key] = { js: value };
    } else {
      found[key] = value;
    }
  }
  return found;
}

// packages beside the bundle

function isImported(name, metafile) {
  const paths = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter((one) => one.external));
  return paths.some((one) => one.path === name || one.path.startsWith(`${name}/`));
}

function shipped(names, modules, out) {
  const done = new Set();
  const take = (name, from) => {
    for (let folder = from; ; folder = path.dirname(folder)) {
      const found = path.join(folder, "node_modules", name);
      if (fs.existsSync(found)) return found;
      if (folder === path.dirname(modules)) return null;
    }
  };
  const ship = (name, from) => {
    const found = take(name, from);
    if (!found || done.has(found)) return;
    done.add(found);
    const filter = (file) => path.basename(file) !== ".bin" && !(path.basename(file) === "node_modules" && file !== found);
    fs.cpSync(found, path.join(out, "node_modules", path.relative(modules, found)), { recursive: true, dereference: true, filter });
    const about = JSON.parse(fs.readFileSync(path.join(found, "package.json"), "utf8"));
    for (const next of Object.keys({ ...about.dependencies, ...about.optionalDependencies })) ship(next, found);
  };
  if (modules) for (const name of names) ship(name, path.dirname(modules));
}

// mistakes

const said = ({ text, location }) => (location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text);

function explained(error, job, place) {
  if (!error.errors?.length) return error;
  const { text, location } = error.errors[0];
  const file = location && path.join(place.base, path.relative(place.tree, path.resolve(place.source, location.file)));
  return new Mistake(`esbuild: ${text}`, {
    kind: "BadSource",
    where: location ? { file, line: location.line, column: location.column + 1 } : undefined,
    tail: error.errors.slice(0, 10).map(said).join("\n"),
    help: /Could not resolve/.test(text) ? "add it to package.json, or name it in External when the runtime or a layer has it" : "correct it there",
  });
}

// JSON-RPC

async function answer({ method, params }) {
  if (method !== "compile") return { error: { code: NO_SUCH_STEP, message: `there is no step ${method}` } };
  try {
    return { result: await compile(params) };
  } catch (error) {
    if (error instanceof Mistake) return { error: { code: MISTAKE, message: error.message, data: error.data } };
    return { error: { code: BROKEN, message: String(error.message), data: { tail: String(error.stack) } } };
  }
}

const request = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id: request.id, ...(await answer(request)) }));
