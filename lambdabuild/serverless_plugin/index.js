'use strict';

// One lambdabuild run before the Serverless Framework makes artifacts; each function and layer then has the zip that
// was built as its package.artifact, and the Framework does the rest as ever.

const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');

const OPTIONS = {
  type: 'object',
  properties: {
    command: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }] },
    settings: { type: 'object' },
  },
  additionalProperties: false,
};

class LambdabuildPlugin {
  constructor(serverless, options) {
    this.serverless = serverless;
    this.options = options || {};
    if (serverless.configSchemaHandler) {
      serverless.configSchemaHandler.defineCustomProperties({ type: 'object', properties: { lambdabuild: OPTIONS } });
    }
    this.hooks = {
      'before:package:createDeploymentArtifacts': () => this.build(this.functions(), this.layers()),
      'before:package:function:package': () => this.build(this.functions([this.options.function]), []),
    };
  }

  get service() {
    return this.serverless.service;
  }

  get folder() {
    return this.serverless.serviceDir || this.serverless.config.servicePath;
  }

  // What lambdabuild builds: no image, nothing that is not packaged, nothing that has an artifact already.
  functions(names) {
    return (names || this.service.getAllFunctions()).filter((name) => {
      const { image, package: own } = this.service.getFunction(name);
      return !image && !(own && (own.artifact || own.disable));
    });
  }

  layers() {
    return this.service.getAllLayers().filter((name) => {
      const { package: own } = this.service.getLayer(name);
      return !(own && own.artifact);
    });
  }

  async build(functions, layers) {
    const wholeService = this.service.package && this.service.package.artifact;
    const names = [...(wholeService ? [] : functions), ...layers];
    if (!names.length) return;
    const built = await this.run(names);
    fs.mkdirSync(path.join(this.folder, '.serverless'), { recursive: true });
    for (const name of functions) if (built[name]) this.give(this.service.getFunction(name), built[name], `${name}.zip`);
    for (const name of layers) if (built[name]) this.give(this.service.getLayer(name), built[name], `layer-${name}.zip`);
  }

  // The Framework looks for changes in .serverless/*.zip alone, and a key in S3 ends with the file's name.
  give(item, built, file) {
    const artifact = path.join(this.folder, '.serverless', file);
    fs.copyFileSync(path.join(this.folder, built.zip), artifact);
    item.package = { ...item.package, artifact };
  }

  run(names) {
    const { command = 'lambdabuild', settings = {} } = (this.service.custom && this.service.custom.lambdabuild) || {};
    const [program, ...first] = [].concat(command);
    const provider = this.serverless.getProvider('aws');
    const given = {
      ...settings,
      artifacts_only: true,
      stage: provider.getStage(),
      region: provider.getRegion(),
      template: this.serverless.configurationFilename || this.serverless.config.configurationFilename,
    };
    for (const param of [].concat(this.options.param || [])) {
      const [name, ...value] = param.split('=');
      given[`param.${name}`] = value.join('=');
    }
    const pairs = Object.entries(given).filter(([, value]) => value !== undefined && value !== null);
    const words = [...first, 'output', ...names, ...pairs.map(([name, value]) => `${name}=${value}`)];
    return new Promise((resolve, reject) => {
      const child = spawn(program, words, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
      let out = '';
      let said = '';
      child.stdout.on('data', (data) => (out += data));
      child.stderr.on('data', (data) => {
        said += data;
        process.stderr.write(data);
      });
      child.on('error', (error) =>
        reject(this.error(error.code === 'ENOENT' ? `${program} is not on PATH: pip install doit-lambdabuild` : `${error}`)),
      );
      child.on('close', (code) => {
        if (code !== 0) return reject(this.error(`lambdabuild failed with exit code ${code}:\n${said.trim()}`));
        const items = JSON.parse(out);
        return resolve(names.length === 1 ? { [names[0]]: items } : items);
      });
    });
  }

  error(message) {
    return new this.serverless.classes.Error(message, 'LAMBDABUILD_FAILED');
  }
}

module.exports = LambdabuildPlugin;
