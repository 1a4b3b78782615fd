/**
 * A construct's code as a lazy token, and the assets of an app, which are built together when the first is needed.
 *
 * A constructor registers its asset, and gives the CDK a place in S3 that is a token. The CDK asks for its value when it
 * prepares the template: by then all constructs exist, and all aspects have run. The first question builds all of the app.
 */

import * as path from 'path';
import { CfnResource, FileAssetPackaging, Lazy, Stack, Stage, Token } from 'aws-cdk-lib/core';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct, IConstruct } from 'constructs';
import { build, digestOf, keyOf, legalName, Wanted, Zip } from './build';
import { Mistake } from './mistake';
import type { Setting } from './index';

const COMMAND = 'lambdabuild:command';
const NO_STAGING = 'aws:cdk:disable-asset-staging';
const ASSET_METADATA = 'aws:cdk:enable-asset-metadata';
const USUAL_ARCHITECTURE = 'x86_64';

type Settings = { readonly [name: string]: Setting };
type Built = lambda.Function | lambda.LayerVersion;

interface Place {
  readonly bucketName: string;
  readonly objectKey: string;
  readonly file: string;
}

/** What a construct's code is made from; once it is known, the zip and its place in S3. */
export class Asset {
  zip: Zip | undefined;
  private construct: Built | undefined;
  private place: Place | undefined;

  constructor(
    readonly table: 'functions' | 'layers',
    readonly path: string,
    private readonly buildName: string | undefined,
    readonly folder: string | undefined,
    readonly project: string,
    readonly settings: Settings,
  ) {}

  /** Make a construct known to its app, and say in the template where its zip is, which SAM CLI reads. */
  register(construct: Built, resourceProperty: string): void {
    this.construct = construct;
    assetsOf(construct).push(this);
    if (construct.node.tryGetContext(ASSET_METADATA)) {
      const resource = construct.node.defaultChild as CfnResource;
      resource.addMetadata('aws:asset:path', Lazy.string({ produce: () => this.located.file }));
      resource.addMetadata('aws:asset:is-bundled', true);
      resource.addMetadata('aws:asset:property', resourceProperty);
    }
  }

  get of(): Built {
    if (!this.construct) {
      throw new Mistake('LB106', `the code of ${this.path} was asked for before it was created`);
    }
    return this.construct;
  }

  get stack(): Stack {
    return Stack.of(this.of);
  }

  get function(): lambda.CfnFunction {
    return this.of.node.defaultChild as lambda.CfnFunction;
  }

  get layer(): lambda.CfnLayerVersion {
    return this.of.node.defaultChild as lambda.CfnLayerVersion;
  }

  /** Whether its stack is to be deployed: not for `cdk ls` and `cdk destroy`, which build nothing. */
  get isNeeded(): boolean {
    return this.stack.bundlingRequired;
  }

  /** The name to build it under: the construct's path within its topmost stack, unless one was given. */
  get name(): string {
    let stack = this.stack;
    while (stack.nestedStackParent) {
      stack = stack.nestedStackParent;
    }
    return this.buildName ?? legalName(this.of.node.path.slice(stack.node.path.length));
  }

  /** The place of the zip, which is entered into the asset manifest; all of the app is built if it was not yet. */
  get located(): Place {
    this.place ??= this.locate();
    return this.place;
  }

  private locate(): Place {
    const stage = Stage.of(this.of);
    if (!stage) {
      throw new Mistake('LB107', `${this.path} is in no app`, 'create it below an App');
    }
    let file = this.folder ?? this.project;
    let [sourceHash, packaging] = [digestOf(this.path), FileAssetPackaging.ZIP_DIRECTORY];
    if (this.isNeeded) {
      const assembly = path.resolve(stage.assetOutdir);
      const zip = this.zip ?? buildWith(this, assembly);
      file = path.dirname(zip.path) === assembly ? path.relative(path.resolve(stage.outdir), zip.path) : zip.path;
      [sourceHash, packaging] = [zip.sha256, FileAssetPackaging.FILE];
    }
    const source = { fileName: file, packaging, sourceHash, displayName: this.path };
    const { bucketName, objectKey } = this.stack.synthesizer.addFileAsset(source);
    return { bucketName, objectKey, file };
  }
}

/** The code of a function or layer, whose place is a token. */
export class AssetCode extends lambda.Code {
  readonly isInline = false;

  constructor(private readonly asset: Asset) {
    super();
  }

  bind(_scope: Construct): lambda.CodeConfig {
    return {
      s3Location: {
        bucketName: Lazy.string({ produce: () => this.asset.located.bucketName }),
        objectKey: Lazy.string({ produce: () => this.asset.located.objectKey }),
      },
    };
  }
}

const apps = new WeakMap<IConstruct, Asset[]>();

function assetsOf(construct: IConstruct): Asset[] {
  const root = construct.node.root;
  const assets = apps.get(root) ?? [];
  apps.set(root, assets);
  return assets;
}

/** Build all assets of the app that are needed and not built yet; return the zip of one. */
function buildWith(asset: Asset, assembly: string): Zip {
  const every = assetsOf(asset.of).filter((one) => one.isNeeded);
  const wanted = allWanted(every, assembly);
  const pending = every.filter((one) => !one.zip);
  const isStaged = !asset.of.node.tryGetContext(NO_STAGING);
  const zips = build(
    commandOf(asset.of),
    pending.map((one) => wanted.get(one)!),
    isStaged ? assembly : undefined,
  );
  for (const one of pending) {
    one.zip = zips.get(keyOf(wanted.get(one)!))!;
  }
  return asset.zip!;
}

/** Return how lambdabuild is started: `lambdabuild:command` in the context, a text or a list. */
function commandOf(construct: IConstruct): string[] {
  const command: unknown = construct.node.tryGetContext(COMMAND) ?? 'lambdabuild';
  const words: unknown[] = Array.isArray(command) ? command : [command];
  if (!words.length || !words.every((word) => typeof word === 'string' && word)) {
    const help = '["uv", "run", "lambdabuild"]';
    throw new Mistake('LB107', `${COMMAND} in the context is no command: ${JSON.stringify(command)}`, help);
  }
  return words as string[];
}

/** Return what each asset is built from. Layers come first: functions name them, and are what they are built for. */
function allWanted(assets: readonly Asset[], assembly: string): Map<Asset, Wanted> {
  const layers = assets.filter((asset) => asset.table === 'layers');
  const functions = assets.filter((asset) => asset.table === 'functions');
  const byPlace = new Map(layers.map((one) => [placeOf(one.stack, (one.of as lambda.LayerVersion).layerVersionArn), one]));
  const layersOf = new Map<Asset, (Asset | undefined)[]>();
  for (const one of functions) {
    // What the template will name; undefined for a layer that we do not build, or of another stack.
    const arns = (one.stack.resolve(one.function.layers) ?? []) as unknown[];
    layersOf.set(one, arns.map((arn) => byPlace.get(placeOf(one.stack, arn))));
  }
  const wanted = new Map<Asset, Wanted>();
  for (const layer of layers) {
    wanted.set(layer, wantedLayer(layer, functions.filter((one) => layersOf.get(one)!.includes(layer)), assembly));
  }
  for (const one of functions) {
    wanted.set(one, wantedFunction(one, layersOf.get(one)!.map((layer) => layer && wanted.get(layer)), assembly));
  }
  return wanted;
}

/** Return a stack and what an ARN is in its template, to compare. */
function placeOf(stack: Stack, arn: unknown): string {
  return `${stack.node.path} ${JSON.stringify(stack.resolve(arn))}`;
}

function wantedFunction(asset: Asset, layers: (Wanted | undefined)[], assembly: string): Wanted {
  const described = {
    runtime: known(asset, 'runtime', asset.function.runtime),
    handler: known(asset, 'handler', asset.function.handler),
    architecture: architectureOf(asset),
  };
  return wantedFor(asset, { ...settingsOf(asset, assembly), ...described }, layers, ['']);
}

function wantedLayer(asset: Asset, users: readonly Asset[], assembly: string): Wanted {
  const runtimes = asset.layer.compatibleRuntimes ?? users.map((user) => known(user, 'runtime', user.function.runtime));
  let architectures = asset.layer.compatibleArchitectures ?? users.map(architectureOf);
  architectures = architectures.length ? sorted(architectures) : [USUAL_ARCHITECTURE];
  const artifacts = architectures.length > 1 ? architectures.map((one) => `-${one}`) : [''];
  return wantedFor(asset, { ...settingsOf(asset, assembly), runtimes: sorted(runtimes), architectures }, [], artifacts);
}

function wantedFor(
  asset: Asset,
  settings: Settings,
  layers: readonly (Wanted | undefined)[],
  artifacts: readonly string[],
): Wanted {
  const { table, name, project, folder, path: construct } = asset;
  const code = folder ? { path: path.relative(project, folder) || '.' } : {};
  return { table, name, construct, project, settings: { ...settings, ...code }, layers, artifacts };
}

/** Return an asset's own settings; a cloud assembly within its folder is left out, because it holds the zips. */
function settingsOf(asset: Asset, assembly: string): Settings {
  const inside = asset.folder ? path.relative(asset.folder, assembly) : '..';
  if (inside.startsWith('..')) {
    return asset.settings;
  }
  const given = asset.settings.exclude ?? [];
  const patterns = typeof given === 'string' ? given.split(',') : Array.isArray(given) ? (given as string[]) : [];
  return { ...asset.settings, exclude: [...patterns, `/${inside}/`] };
}

function architectureOf(asset: Asset): string {
  const architectures = asset.function.architectures;
  return architectures?.length ? known(asset, 'architecture', architectures[0]) : USUAL_ARCHITECTURE;
}

/** Return a property as it is in the template; an error if only a deployment knows it. */
function known(asset: Asset, name: string, value: string | undefined): string {
  if (!value || Token.isUnresolved(value)) {
    const help = name === 'runtime' ? 'give it as a constant, such as Runtime.PYTHON_3_13' : 'give it as a text';
    throw new Mistake('LB106', `the ${name} of ${asset.path} is not known before it is deployed`, help);
  }
  return value;
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
