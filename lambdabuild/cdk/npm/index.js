'use strict';

// The CDK asks for the place of a function's code when it writes the template, at the end of synth: then every function
// of the app is known, and one lambdabuild run builds what is not up to date. When nothing is bundled (cdk ls, cdk
// destroy), nothing is built.

const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const cdk = require('aws-cdk-lib');
const lambda = require('aws-cdk-lib/aws-lambda');

const NOT_BUILT = 'lambdabuild-has-not-built-it.zip';
const APPS = new WeakMap();

class Builds {
  constructor() {
    this.command = ['lambdabuild'];
    this.settings = new Map();
    this.built = {};
  }

  of(name) {
    if (!this.built[name]) this.built = this.run();
    return this.built[name];
  }

  run() {
    const [program, ...first] = this.command;
    const given = [...this.settings.values()].flatMap((settings) =>
      Object.entries(settings).map(([key, value]) => `${key}=${value}`),
    );
    const words = [...first, 'output', '--for', 'cdk', ...[...this.settings.keys()].sort(), 'template=none', ...given];
    const done = spawnSync(program, words, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', maxBuffer: 1 << 28 });
    if (done.error) {
      const missing = done.error.code === 'ENOENT' ? `${program} is not on PATH: pip install doit-lambdabuild` : '';
      throw new Error(missing || String(done.error));
    }
    if (done.status !== 0) throw new Error(`lambdabuild failed with exit code ${done.status}; what it says is above`);
    return JSON.parse(done.stdout);
  }
}

function buildsOf(scope) {
  const { root } = scope.node;
  if (!APPS.has(root)) APPS.set(root, new Builds());
  return APPS.get(root);
}

function setCommand(app, command) {
  buildsOf(app).command = command;
}

class BuiltCode extends lambda.Code {
  constructor(kind, settings) {
    super();
    this.isInline = false;
    this.kind = kind;
    this.described = settings;
  }

  bind(scope) {
    const name = cdk.Names.uniqueResourceName(scope, { maxLength: 64, separator: '-', allowedSpecialCharacters: '_-' });
    const entries = Object.entries(this.described).map(([key, value]) => [`${this.kind}.${name}.${key}`, value]);
    buildsOf(scope).settings.set(name, Object.fromEntries(entries));
    let asset;
    const place = () => (asset = asset || publish(scope, name));
    return {
      s3Location: {
        bucketName: cdk.Lazy.string({ produce: () => place().bucketName }),
        objectKey: cdk.Lazy.string({ produce: () => place().objectKey }),
      },
    };
  }

  // SAM would build again what metadata of an asset names.
  bindToResource() {}
}

function publish(scope, name) {
  const stack = cdk.Stack.of(scope);
  if (!stack.bundlingRequired) return { bucketName: '', objectKey: NOT_BUILT };
  const item = buildsOf(scope).of(name);
  const stage = cdk.Stage.of(scope);
  const file = path.join(stage.assetOutdir, `asset.${item.assetHash}.zip`);
  if (!fs.existsSync(file)) fs.copyFileSync(item.path, file);
  return stack.synthesizer.addFileAsset({
    sourceHash: item.assetHash,
    fileName: path.relative(stage.outdir, file),
    packaging: cdk.FileAssetPackaging.FILE,
  });
}

function texts(settings, prefix = '') {
  return Object.entries(settings).reduce((all, [name, value]) => {
    const isTable = value !== null && typeof value === 'object' && !Array.isArray(value);
    const own = isTable ? texts(value, `${prefix}${name}.`) : { [prefix + name]: [].concat(value).join(',') };
    return { ...all, ...own };
  }, {});
}

function relative(folder) {
  return (path.relative('', folder) || '.').split(path.sep).join('/');
}

class LambdabuildFunction extends lambda.Function {
  constructor(scope, id, props) {
    const { path: folder, settings = {}, ...others } = props;
    const described = {
      path: relative(folder),
      runtime: props.runtime.name,
      handler: props.handler,
      architecture: props.architecture ? props.architecture.name : 'x86_64',
      ...texts(settings),
    };
    super(scope, id, { ...others, code: new BuiltCode('functions', described) });
  }
}

class LambdabuildLayer extends lambda.LayerVersion {
  constructor(scope, id, props) {
    const { path: folder, manifest, architecture, settings = {}, ...others } = props;
    const described = {
      ...(folder ? { path: relative(folder) } : {}),
      ...(manifest ? { manifest: relative(manifest) } : {}),
      runtimes: props.compatibleRuntimes.map((runtime) => runtime.name).join(','),
      architectures: architecture ? architecture.name : 'x86_64',
      ...texts(settings),
    };
    const architectures = architecture ? { compatibleArchitectures: [architecture] } : {};
    super(scope, id, { ...others, ...architectures, code: new BuiltCode('layers', described) });
  }
}

module.exports = { LambdabuildFunction, LambdabuildLayer, setCommand };
