/**
 * Functions and layers for the AWS CDK that lambdabuild builds.
 *
 * In: constructs, each with the folder of its code. Out: the location of a zip in the asset manifest, for the template.
 * The zips of an app are made in one run of lambdabuild, which is a program of its own.
 */

import * as fs from 'fs';
import * as path from 'path';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { projectOf } from './build';
import { Asset, AssetCode } from './assets';
import { Mistake } from './mistake';

/** A setting's value; a list may not hold commas. */
export type Setting = string | number | boolean | readonly string[] | { readonly [name: string]: Setting };

export interface LambdabuildOptions {
  /** Settings of lambdabuild for this function or layer, as in `lambdabuild.toml`. */
  readonly settings?: { readonly [name: string]: Setting };
  /**
   * Its name in lambdabuild, and in `lambdabuild.toml`.
   *
   * @default - made of the construct's path
   */
  readonly buildName?: string;
}

export interface LambdabuildFunctionProps extends Omit<lambda.FunctionProps, 'code'>, LambdabuildOptions {
  /** Folder of the code, as seen from the current folder. */
  readonly path: string;
}

export interface LambdabuildLayerProps extends Omit<lambda.LayerVersionProps, 'code'>, LambdabuildOptions {
  /**
   * Folder of the layer, as seen from the current folder.
   *
   * @default - only the packages that the manifest names
   */
  readonly path?: string;
  /**
   * File that names its packages, such as `requirements.txt`.
   *
   * @default - the one that lambdabuild finds in `path`
   */
  readonly manifest?: string;
}

/** A function that lambdabuild builds. */
export class LambdabuildFunction extends lambda.Function {
  constructor(scope: Construct, id: string, props: LambdabuildFunctionProps) {
    const { path: code, settings, buildName, ...properties } = props;
    const place = `${scope.node.path}/${id}`;
    refuseCode(place, properties);
    const folder = folderOf(code, place);
    const asset = new Asset('functions', place, buildName, folder, projectOf(folder), settings ?? {});
    super(scope, id, { ...properties, code: new AssetCode(asset) });
    asset.register(this, 'Code');
  }
}

/**
 * A layer that lambdabuild builds, from a folder, from a manifest, or both.
 *
 * Its runtimes and architectures are the compatible ones; those of the functions that use it if none are named.
 */
export class LambdabuildLayer extends lambda.LayerVersion {
  constructor(scope: Construct, id: string, props: LambdabuildLayerProps) {
    const { path: code, manifest, settings, buildName, ...properties } = props;
    const place = `${scope.node.path}/${id}`;
    refuseCode(place, properties);
    if (!code && !manifest) {
      throw new Mistake('LB107', `the layer ${place} has neither a path nor a manifest`, "manifest: 'requirements.txt'");
    }
    const folder = code ? folderOf(code, place) : undefined;
    const file = manifest ? path.resolve(manifest) : undefined;
    if (file && !fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
      throw new Mistake('LB302', `the manifest ${manifest} of ${place} does not exist`, seenFrom());
    }
    const project = projectOf(folder ?? path.dirname(file!));
    const own = file ? { manifest: path.relative(folder ?? project, file) } : {};
    const asset = new Asset('layers', place, buildName, folder, project, { ...settings, ...own });
    super(scope, id, { ...properties, code: new AssetCode(asset) });
    asset.register(this, 'Content');
  }
}

function refuseCode(place: string, properties: object): void {
  if ('code' in properties) {
    throw new Mistake('LB107', `${place} has a code, which lambdabuild makes from its path`, 'leave out code');
  }
}

function folderOf(code: string, place: string): string {
  const folder = path.resolve(code);
  if (!fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Mistake('LB302', `the code folder ${code} of ${place} does not exist or is not a folder`, seenFrom());
  }
  return folder;
}

function seenFrom(): string {
  return `paths are as seen from ${process.cwd()}`;
}
