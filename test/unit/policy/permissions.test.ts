import assert from "node:assert/strict";

import type { Fault } from "../../../components/settings";
import { broadPermissions, openToEveryone } from "../../../policy/iam";
import { namesOne } from "../../../policy/iam/permissions";
import type { Resource } from "../../../policy/resource";
import { inPreview, LATER } from "./preview";
import { brief, type Case, defineCases, resource } from "./resources";

const NOTHING_KNOWN = { unscopedActions: [], managedPolicies: [] };
const check = (given: Resource): readonly Fault[] => broadPermissions(given, NOTHING_KNOWN);

const OBJECTS = "arn:aws:s3:::models/bert/*";
const ROLE = "arn:aws:iam::111122223333:role/machine";

const rolePolicy = (policy: unknown): Resource => resource("aws:iam/rolePolicy:RolePolicy", { policy });

/** A role's policy of one statement, in the plainest form. */
const allowing = (statement: object): Resource =>
  rolePolicy(
    JSON.stringify({
      Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: OBJECTS, ...statement }],
    }),
  );

const ADMIN = { Effect: "Allow", Action: "*", Resource: "arn:aws:s3:::models" };
const FOUND = 'policy.Statement[0].Action: "*"';

/** One policy in all its forms. */
const forms: readonly Case[] = [
  ["a list of statements", rolePolicy(JSON.stringify({ Statement: [ADMIN] })), [FOUND]],
  [
    "a single statement in place of a list",
    rolePolicy(JSON.stringify({ Statement: ADMIN })),
    ['policy.Statement.Action: "*"'],
  ],
  ["a document in place of its text", rolePolicy({ Statement: [ADMIN] }), [FOUND]],
  [
    "names in other letters",
    rolePolicy(
      JSON.stringify({ statement: [{ effect: "ALLOW", action: ["*"], resource: "arn:aws:s3:::b" }] }),
    ),
    ['policy.statement[0].action[0]: "*"'],
  ],
  [
    "a result of getPolicyDocument",
    rolePolicy({ json: JSON.stringify({ Statement: [ADMIN] }), statements: [{ actions: ["*"] }] }),
    ['policy.json.Statement[0].Action: "*"'],
  ],
  ["text that is no JSON", rolePolicy("Allow *"), ["policy: text that is no JSON object"]],
  ["a list in place of a document", rolePolicy("[]"), ["policy: text that is no JSON object"]],
  ["a denial", allowing({ Effect: "Deny", Action: "s3:*" }), []],
  ["nothing", rolePolicy(undefined), []],
  [
    "a policy that a preview does not know yet",
    resource("aws:iam/rolePolicy:RolePolicy", inPreview({ policy: LATER })),
    [],
  ],
  [
    "what a preview knows of a policy that has unknown parts",
    resource(
      "aws:iam/rolePolicy:RolePolicy",
      inPreview({
        policy: { Statement: [LATER, { ...ADMIN, Resource: LATER }] },
      }),
    ),
    ['policy.Statement[1].Action: "*"'],
  ],
];

const action = (...patterns: string[]): Case[] =>
  patterns.map((pattern) => [
    `the action ${pattern}`,
    allowing({ Action: pattern }),
    [`policy.Statement[0].Action: "${pattern}"`],
  ]);

const target = (...patterns: string[]): Case[] =>
  patterns.map((pattern) => [
    `the resource ${pattern}`,
    allowing({ Resource: [OBJECTS, pattern] }),
    [`policy.Statement[0].Resource[1]: "${pattern}"`],
  ]);

const statements: readonly Case[] = [
  ...action("*", "s3:*", "S3:*", "s3:Get*", "s3:*Object", "s*:GetObject", "s3:?etObject", "*:*"),
  ["actions by name", allowing({ Action: ["s3:GetObject", "S3:GETOBJECTVERSION"] }), []],
  [
    "all other actions",
    allowing({ Action: undefined, NotAction: ["iam:PassRole"] }),
    ["policy.Statement[0].NotAction: a list of 1"],
  ],
  [
    "all other resources",
    allowing({ Resource: undefined, NotResource: "arn:aws:s3:::secret/*" }),
    ['policy.Statement[0].NotResource: "arn:aws:s3:::secret/*"'],
  ],
  [
    "all other resources in a denial",
    allowing({ Effect: "Deny", Resource: undefined, NotResource: OBJECTS }),
    [],
  ],
  ...target(
    "*",
    "arn:*",
    "arn:aws:s3:::*",
    "ARN:AWS:S3:::*",
    "arn:aws:s3:::models*",
    "arn:aws:s3:::model?/x",
  ),
  ...target("arn:aws:*:*:*:*", "arn:aws:s*:::models/bert/*"),
  ["objects below a prefix", allowing({ Resource: [OBJECTS, "arn:aws:s3:::models"] }), []],
  [
    "every parameter",
    allowing({ Action: "ssm:GetParameter", Resource: "arn:aws:ssm:us-east-1:111122223333:parameter/*" }),
    ['policy.Statement[0].Resource: "arn:aws:ssm:us-east-1:111122223333:parameter/*"'],
  ],
  [
    "parameters below a name",
    allowing({ Action: "ssm:GetParameter", Resource: "arn:aws:ssm:*:*:parameter/triton/*" }),
    [],
  ],
  [
    "actions that know no resource",
    allowing({
      Action: ["ssmmessages:OpenDataChannel", "ecr:GetAuthorizationToken", "EC2:DescribeInstances"],
      Resource: "*",
    }),
    [],
  ],
  [
    "an action that can be limited beside one that cannot",
    allowing({ Action: ["ecr:GetAuthorizationToken", "ecr:BatchGetImage"], Resource: "*" }),
    ['policy.Statement[0].Resource: "*"'],
  ],
  [
    "an execution, whose name AWS chooses, of one runbook",
    allowing({
      Action: "ssm:StartAutomationExecution",
      Resource: [
        "arn:aws:ssm:us-east-1::document/AWS-RestartEC2Instance",
        "arn:aws:ssm:us-east-1:*:automation-execution/*",
      ],
    }),
    [],
  ],
  [
    "the executions of others",
    allowing({
      Action: ["ssm:StartAutomationExecution", "ssm:StopAutomationExecution"],
      Resource: "arn:aws:ssm:us-east-1:*:automation-execution/*",
    }),
    ['policy.Statement[0].Resource: "arn:aws:ssm:us-east-1:*:automation-execution/*"'],
  ],
  [
    "any runbook",
    allowing({ Action: "ssm:StartAutomationExecution", Resource: "arn:aws:ssm:us-east-1::document/*" }),
    ['policy.Statement[0].Resource: "arn:aws:ssm:us-east-1::document/*"'],
  ],
  [
    "handing on any role",
    allowing({
      Action: ["ec2:RunInstances", "iam:passrole"],
      Resource: "arn:aws:iam::111122223333:role/app/*",
    }),
    ['policy.Statement[0].Resource: "arn:aws:iam::111122223333:role/app/*"'],
  ],
  ["handing on one role", allowing({ Action: "iam:PassRole", Resource: ROLE }), []],
  [
    "taking any role",
    allowing({ Action: "sts:AssumeRole", Resource: "arn:aws:iam::*:role/machine" }),
    ['policy.Statement[0].Resource: "arn:aws:iam::*:role/machine"'],
  ],
];

const inline = { Statement: [ADMIN] };
const AWS_ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess";

const places: readonly Case[] = [
  ["a managed policy", resource("aws:iam/policy:Policy", { policy: inline }), [FOUND]],
  ["a user's policy", resource("aws:iam/userPolicy:UserPolicy", { policy: inline }), [FOUND]],
  ["a group's policy", resource("aws:iam/groupPolicy:GroupPolicy", { policy: inline }), [FOUND]],
  [
    "the second of a role's inline policies",
    resource("aws:iam/role:Role", { inlinePolicies: [{ name: "a" }, { policy: JSON.stringify(inline) }] }),
    ['inlinePolicies[1].policy.Statement[0].Action: "*"'],
  ],
  [
    "a role's managed policies",
    resource("aws:iam/role:Role", { managedPolicyArns: [AWS_ADMIN] }),
    [`managedPolicyArns[0]: "${AWS_ADMIN}"`],
  ],
  ...["role", "user", "group"].map((kind): Case => {
    const name = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
    return [
      `a policy of AWS on a ${kind}`,
      resource(`aws:iam/${kind}PolicyAttachment:${name}PolicyAttachment`, { policyArn: AWS_ADMIN }),
      [`policyArn: "${AWS_ADMIN}"`],
    ];
  }),
  [
    "a policy of AWS on several",
    resource("aws:iam/policyAttachment:PolicyAttachment", {
      policyArn: "arn:aws-cn:iam::aws:policy/service-role/AmazonEC2RoleforSSM",
    }),
    ['policyArn: "arn:aws-cn:iam::aws:policy/service-role/AmazonEC2RoleforSSM"'],
  ],
  [
    "a list of all that is attached",
    resource("aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive", {
      policyArns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
    }),
    ['policyArns[0]: "arn:aws:iam::aws:policy/ReadOnlyAccess"'],
  ],
  [
    "an account's own policy for administrators",
    resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {
      policyArn: "arn:aws:iam::111122223333:policy/team/s3-full-access",
    }),
    ['policyArn: "arn:aws:iam::111122223333:policy/team/s3-full-access"'],
  ],
  [
    "an account's own policy",
    resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {
      policyArn: "arn:aws:iam::111122223333:policy/read-models",
    }),
    [],
  ],
  [
    "a policy that a preview does not know yet",
    resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", inPreview({ policyArn: LATER })),
    [],
  ],
];

describe("least-privilege", () => {
  describe("reads", () => {
    defineCases(check, forms);
  });
  describe("looks at a statement and", () => {
    defineCases(check, statements);
  });
  describe("looks at every place and", () => {
    defineCases(check, places);
  });

  it("accepts what its config knows to be right", () => {
    const known = { unscopedActions: ["Pricing:GetProducts"], managedPolicies: [AWS_ADMIN] };
    const pricing = allowing({ Action: "pricing:getproducts", Resource: "*" });
    assert.equal(check(pricing).length, 1);
    assert.deepEqual(broadPermissions(pricing, known), []);
    const attached = resource("aws:iam/role:Role", { managedPolicyArns: [AWS_ADMIN] });
    assert.deepEqual(broadPermissions(attached, known), []);
  });

  it("says what is allowed and how to get there", () => {
    assert.deepEqual(check(allowing({ Action: "iam:PassRole", Resource: "*" })), [
      {
        path: "policy.Statement[0].Resource",
        value: '"*"',
        allowed:
          "for iam:PassRole the ARN of one role, without * and ?: who may hand a role on can do what it may do",
        fix: "give the role's ARN, in a statement of its own",
      },
    ]);
  });

  it("takes an ARN for one thing if it has the whole name", () => {
    const one = [
      "arn:aws:ec2:us-east-1:*:instance/i-0123456789abcdef0",
      "arn:aws:ssm:us-east-1::automation-definition/AWS-RestartEC2Instance:*",
      "arn:aws:logs:us-east-1:111122223333:log-group:triton:log-stream:*",
      "arn:aws:sns:*:111122223333:alarms",
    ];
    const many = [
      "arn:aws:ec2:us-east-1:111122223333:instance/*",
      "arn:aws:ec2:us-east-1:111122223333:instance/i-*",
      "arn:aws:logs:us-east-1:111122223333:log-group:*",
      "arn:aws:ec2:us-east-1:*",
      "arn:aws:sns:us-east-1:111122223333:alarms*",
    ];
    assert.deepEqual([...one, ...many].filter(namesOne), one);
  });
});

describe("no-public-policy", () => {
  const bucketPolicy = (statement: object, document: object = { Statement: [statement] }): Resource =>
    resource("aws:s3/bucketPolicy:BucketPolicy", { policy: JSON.stringify(document) });
  const granting = (Principal: unknown, more: object = {}): Resource =>
    bucketPolicy({ Effect: "Allow", Principal, Action: "s3:GetObject", Resource: OBJECTS, ...more });
  const anyone = (condition: object): Resource => granting("*", { Condition: condition });
  const PUBLIC = ['policy.Statement[0].Principal: "*"'];

  defineCases(openToEveryone, [
    ["everyone", granting("*"), PUBLIC],
    ["every account", granting({ AWS: "*" }), ['policy.Statement[0].Principal.AWS: "*"']],
    [
      "everyone in a list, in other letters",
      granting({ aws: [ROLE, "*"] }),
      ['policy.Statement[0].Principal.aws[1]: "*"'],
    ],
    [
      "every role of any account",
      granting({ AWS: "arn:aws:iam::*:role/machine" }),
      ['policy.Statement[0].Principal.AWS: "arn:aws:iam::*:role/machine"'],
    ],
    [
      "a single statement in place of a list",
      bucketPolicy({}, { Statement: { Effect: "Allow", Principal: "*", Action: "s3:*", Resource: "*" } }),
      ['policy.Statement.Principal: "*"'],
    ],
    [
      "everyone but one",
      bucketPolicy({
        Effect: "Allow",
        NotPrincipal: { AWS: ROLE },
        Action: "s3:GetObject",
        Resource: OBJECTS,
      }),
      ["policy.Statement[0].NotPrincipal: an object"],
    ],
    ["one role", granting({ AWS: ROLE }), []],
    ["a service of AWS", granting({ Service: "logging.s3.amazonaws.com" }), []],
    ["a denial for everyone", granting("*", { Effect: "Deny" }), []],
    ["everyone of an organization", anyone({ StringEquals: { "aws:PrincipalOrgID": "o-a1b2c3d4e5" } }), []],
    [
      "everyone in a network, in other letters",
      anyone({ stringequals: { "AWS:SourceVpce": ["vpce-1"] } }),
      [],
    ],
    ["everyone in an office", anyone({ IpAddress: { "aws:SourceIp": "203.0.113.0/24" } }), []],
    [
      "roles of one account",
      anyone({ ArnLike: { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/*" } }),
      [],
    ],
    [
      "everyone with an address",
      anyone({ IpAddress: { "aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"] } }),
      PUBLIC,
    ],
    ["everyone in any organization", anyone({ StringLike: { "aws:PrincipalOrgID": "o-*" } }), PUBLIC],
    [
      "everyone in their own account",
      anyone({ StringEquals: { "aws:SourceAccount": "${aws:PrincipalAccount}" } }),
      PUBLIC,
    ],
    ["everyone outside of a network", anyone({ StringNotEquals: { "aws:SourceVpc": "vpc-1" } }), PUBLIC],
    ["everyone without a network", anyone({ StringEqualsIfExists: { "aws:SourceVpc": "vpc-1" } }), PUBLIC],
    ["a condition on no caller", anyone({ StringEquals: { "s3:ExistingObjectTag/a": "b" } }), PUBLIC],
    [
      "a role that anyone may take",
      resource("aws:iam/role:Role", {
        assumeRolePolicy: {
          Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "sts:AssumeRole" }],
        },
      }),
      ['assumeRolePolicy.Statement[0].Principal.AWS: "*"'],
    ],
    [
      "a role for EC2",
      resource("aws:iam/role:Role", {
        assumeRolePolicy: JSON.stringify({
          Statement: [
            { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
          ],
        }),
      }),
      [],
    ],
    [
      "a repository that anyone may pull from",
      resource("aws:ecr/repositoryPolicy:RepositoryPolicy", {
        policy: { Statement: { Effect: "Allow", Principal: "*", Action: "ecr:BatchGetImage" } },
      }),
      ['policy.Statement.Principal: "*"'],
    ],
    [
      "a policy that a preview does not know yet",
      resource("aws:s3/bucketPolicy:BucketPolicy", inPreview({ policy: LATER })),
      [],
    ],
  ]);

  it("says what is allowed and how to get there", () => {
    assert.deepEqual(brief(openToEveryone(granting("*"))), PUBLIC);
    assert.deepEqual(openToEveryone(granting("*"))[0], {
      path: "policy.Statement[0].Principal",
      value: '"*"',
      allowed: "principals by their full names, or a condition on a fixed account, organization or network",
      fix: "name the accounts, roles or services that need it",
    });
  });
});
