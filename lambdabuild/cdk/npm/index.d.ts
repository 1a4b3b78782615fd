import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';

/** Settings of lambdabuild for one function or layer, as in `[functions.NAME]`: `{ slim: true }`. */
export type Settings = { readonly [name: string]: string | number | boolean | readonly string[] | Settings };

export interface LambdabuildFunctionProps extends Omit<lambda.FunctionProps, 'code'> {
  /** The folder of its code, relative to the folder in which the app runs. */
  readonly path: string;
  readonly settings?: Settings;
}

/** A function that lambdabuild builds from a folder. */
export declare class LambdabuildFunction extends lambda.Function {
  constructor(scope: Construct, id: string, props: LambdabuildFunctionProps);
}

export interface LambdabuildLayerProps extends Omit<lambda.LayerVersionProps, 'code' | 'compatibleArchitectures'> {
  readonly compatibleRuntimes: lambda.Runtime[];
  /** The folder of the layer. */
  readonly path?: string;
  /** A manifest whose packages go into the layer. */
  readonly manifest?: string;
  readonly architecture?: lambda.Architecture;
  readonly settings?: Settings;
}

/** A layer that lambdabuild builds: from a folder, from a manifest, or both. */
export declare class LambdabuildLayer extends lambda.LayerVersion {
  constructor(scope: Construct, id: string, props: LambdabuildLayerProps);
}

/** How lambdabuild is started, for all functions of the app: `['uv', 'run', 'lambdabuild']`. */
export declare function setCommand(app: Construct, command: string[]): void;
