"""Shared by the Node.js rules: manifests, workspaces, a place to install in, what was installed. Knows no tool.

Comes in: a Job with a package.json. Goes out: a Result whose part is a node_modules folder of real files.

    package.json --manifest, workspace--> paths --place--> a folder to run the tool in --installed--> part and facts

Must not know templates, plans or doit, nor run npm, pnpm or yarn: that is the rules' own.
"""
