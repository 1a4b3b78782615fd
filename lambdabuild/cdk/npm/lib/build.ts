/**
 * The functions and layers of a CDK app as one build: which there are, what they are called, what is run. No CDK here.
 *
 * `lambdabuild/cdk/app_build.py` does the same for Python.
 */

import { spawnSync } from 'child_process';
import { createHash } from 'crypto';
import * as fs from 'fs';
import * as path from 'path';
import { Mistake } from './mistake';
import type { Setting } from './index';

/** Where an app's zips are built, in the project's folder. What is in `.lambdabuild/` is shipped with no function. */
const BUILD_DIR = path.join('.lambdabuild', 'cdk');
/** Settings of every run: no other functions are in it, and the CDK uploads the zips. */
const FIXED = [`build_dir=${BUILD_DIR}`, 'template=none', 'bucket=', 'format=text'];
const SETTINGS = 'lambdabuild.toml';
const LONGEST_NAME = 64;
const ATTEMPTS = 3;
const LARGEST_OUTPUT = 1 << 30;
/** Stands for a layer that somebody else made: a handler may be in it. */
const FOREIGN_LAYER = 'arn:aws:lambda:::layer:another';
/** What a run prints of each step, and when there are none. */
const PROGRESS = /^(nothing to do: |[a-z]+(:\S+)? {2}\d+\.\d\d s($| {2}))/;

type Settings = { readonly [name: string]: Setting };

/** A built zip: an absolute path, and its sha256 in hexadecimal. */
export interface Zip {
  readonly path: string;
  readonly sha256: string;
}

/** A function or layer that a construct asks for. */
export interface Wanted {
  readonly table: 'functions' | 'layers';
  readonly name: string;
  readonly construct: string;
  readonly project: string;
  readonly settings: Settings;
  /** The layers that a function runs with; undefined is one that we do not build. */
  readonly layers: readonly (Wanted | undefined)[];
  /** What is appended to the name for each architecture of a layer that has several. */
  readonly artifacts: readonly string[];
}

/** Two with the same key are built once. The name is part of it: settings of that name may apply. */
export function keyOf(wanted: Wanted): string {
  const settings = Object.entries(wanted.settings).sort(([a], [b]) => (a < b ? -1 : 1));
  const layers = wanted.layers.map((layer) => (layer ? keyOf(layer) : ''));
  return JSON.stringify([wanted.table, wanted.name, wanted.project, settings, layers]);
}

/** Return a name that a function can have, different for different texts that are too long. */
export function legalName(text: string): string {
  const name = text.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '') || 'function';
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, LONGEST_NAME - 9)}-${digestOf(text).slice(0, 8)}`;
}

/** Return the folder of the nearest lambdabuild.toml at or above a path, in the same checkout; else the current one. */
export function projectOf(folder: string): string {
  const here = process.cwd();
  while (!fs.existsSync(path.join(folder, SETTINGS))) {
    const parent = path.dirname(folder);
    if (folder === here || parent === folder || fs.existsSync(path.join(folder, '.git'))) {
      return here;
    }
    folder = parent;
  }
  return folder;
}

/** Return a name for each key. One name that several would have gets a digest, so it never depends on the order. */
function named(all: readonly Wanted[]): Map<string, string> {
  const keys = new Map<string, Map<string, string>>();
  for (const wanted of all) {
    const place = `${wanted.project}\n${wanted.name}`;
    keys.set(place, (keys.get(place) ?? new Map<string, string>()).set(keyOf(wanted), wanted.name));
  }
  const names = new Map<string, string>();
  for (const same of keys.values()) {
    for (const [key, name] of same) {
      const digest = digestOf(key).slice(0, 8);
      names.set(key, same.size === 1 ? name : `${name.slice(0, LONGEST_NAME - 9)}-${digest}`);
    }
  }
  return names;
}

/**
 * Build what is wanted, and return for each key the zip's copy in a cloud assembly; without one the zip itself.
 */
export function build(command: readonly string[], all: readonly Wanted[], assembly?: string): Map<string, Zip> {
  const every = new Map<string, Wanted>();
  for (const wanted of all.flatMap((one) => [one, ...one.layers])) {
    if (wanted) {
      every.set(keyOf(wanted), wanted);
    }
  }
  const names = named([...every.values()]);
  const zips = new Map<string, Zip>();
  for (const project of new Set([...every.values()].map((wanted) => wanted.project))) {
    const own = [...every.values()].filter((wanted) => wanted.project === project);
    for (const [key, zip] of builtAndStaged(command, project, own, names, assembly)) {
      zips.set(key, zip);
    }
  }
  return zips;
}

/** Build in one project. Another app there may write zips of the same names before these are copied: try again. */
function builtAndStaged(
  command: readonly string[],
  project: string,
  all: readonly Wanted[],
  names: ReadonlyMap<string, string>,
  assembly?: string,
): Map<string, Zip> {
  for (let attempt = 1; ; attempt++) {
    const zips = buildProject(command, project, all, names);
    try {
      return assembly ? new Map([...zips].map(([key, zip]) => [key, stage(zip, assembly)])) : zips;
    } catch (error) {
      if (!(error instanceof Mistake) || attempt === ATTEMPTS) {
        throw error;
      }
    }
  }
}

function buildProject(
  command: readonly string[],
  project: string,
  all: readonly Wanted[],
  names: ReadonlyMap<string, string>,
): Map<string, Zip> {
  const settings = [...FIXED];
  const asked = new Set<string>();
  for (const wanted of all) {
    const name = names.get(keyOf(wanted))!;
    wanted.artifacts.forEach((suffix) => asked.add(name + suffix));
    settings.push(...flat({ ...wanted.settings, ...layersOf(wanted, names) }, `${wanted.table}.${name}.`));
  }
  const output = run([...command, 'output', '--for', 'cdk', ...[...asked].sort(), ...settings], project);
  const built = JSON.parse(output) as { [name: string]: { path: string; assetHash: string } };
  return new Map(all.map((wanted) => [keyOf(wanted), zipOf(wanted, names.get(keyOf(wanted))!, built, project)]));
}

/** Return a function's setting `layers`; one that another project builds is a stranger's. */
function layersOf(wanted: Wanted, names: ReadonlyMap<string, string>): Settings {
  const own = wanted.layers.map((layer) =>
    layer && layer.project === wanted.project ? names.get(keyOf(layer))! : FOREIGN_LAYER,
  );
  return own.length ? { layers: own } : {};
}

/** Return nested settings as the command line has them: `functions.Orders.path=src`. */
function flat(settings: Settings, above: string): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const key = above + name;
    if (Array.isArray(value) && value.every((part) => typeof part === 'string' && !part.includes(','))) {
      return [`${key}=${value.join(',')}`];
    }
    if (['string', 'number', 'boolean'].includes(typeof value)) {
      return [`${key}=${value as string}`];
    }
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      return flat(value as Settings, `${key}.`);
    }
    throw new Mistake(
      'LB107',
      `the setting ${key} cannot be ${JSON.stringify(value)}`,
      'give a text, a number, true or false, or a list of texts without commas; else use lambdabuild.toml',
    );
  });
}

/** Run lambdabuild; return what it prints, and pass on what it has to say. */
function run(argv: readonly string[], folder: string): string {
  const { FORCE_COLOR: _, ...environment } = process.env;
  const ran = spawnSync(argv[0]!, argv.slice(1), {
    cwd: folder,
    env: { ...environment, NO_COLOR: '1' }, // what it says may end up in the text of an error
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf-8',
    maxBuffer: LARGEST_OUTPUT,
  });
  if (ran.error) {
    const help = 'install it: pip install doit-lambdabuild; or set "lambdabuild:command" in the context of cdk.json';
    throw new Mistake('LB501', `cannot start ${argv[0]}: ${ran.error.message}`, help);
  }
  const said = ran.stderr.split('\n').filter((line) => !PROGRESS.test(line)).join('\n');
  if (ran.status !== 0) {
    const how = ran.signal ? `was ended by ${ran.signal}` : `ended with exit code ${ran.status}`;
    throw new Mistake('LB502', `lambdabuild ${how} in ${folder}`, '', said.trim());
  }
  process.stderr.write(said);
  return ran.stdout;
}

function zipOf(
  wanted: Wanted,
  name: string,
  built: { [name: string]: { path: string; assetHash: string } },
  project: string,
): Zip {
  const own = wanted.artifacts.map((suffix) => built[name + suffix]!);
  if (new Set(own.map((artifact) => artifact.assetHash)).size > 1) {
    throw new Mistake(
      'LB610',
      `the layer ${wanted.construct} is not the same for ${wanted.artifacts.map((one) => one.slice(1)).join(' and ')}`,
      'give each architecture a layer of its own: compatibleArchitectures with one item',
    );
  }
  return { path: path.resolve(project, own[0]!.path), sha256: own[0]!.assetHash };
}

/** Copy a zip into a cloud assembly, unless it is there. The copy is the zip with that digest or none. */
export function stage(zip: Zip, folder: string): Zip {
  const target = path.join(folder, `asset.${zip.sha256}.zip`);
  if (fs.existsSync(target) && digestOf(fs.readFileSync(target)) === zip.sha256) {
    return { ...zip, path: target };
  }
  let bytes: Buffer;
  try {
    bytes = fs.readFileSync(zip.path);
  } catch (error) {
    throw new Mistake('LB505', `cannot read ${zip.path}: ${(error as Error).message}`, 'run it again');
  }
  if (digestOf(bytes) !== zip.sha256) {
    throw new Mistake('LB505', `${zip.path} was changed while it was copied`, 'run it again');
  }
  const aside = `${target}.${process.pid}`;
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(aside, bytes);
  fs.renameSync(aside, target);
  return { ...zip, path: target };
}

export function digestOf(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
