// SPDX-License-Identifier: Apache-2.0
// node seal_oracle.mjs FOLDER: SEAL makes keys, encrypts the program's inputs, runs its cases, and leaves every object
// in the folder: keys, NAME.plain.seal and NAME.seal of each input and case. A failure is an exception.
import { Folder, Scheme, save } from './seal.mjs';

const folder = new Folder(process.argv[2]);
const { program } = folder;
const scheme = new Scheme(folder);
const { seal, context } = scheme;

if (program.bits !== null) folder.write('created_parameters.seal', scheme.createdParameters(program.bits));
folder.save('reloaded_parameters.seal', scheme.parameters);

const generator = seal.KeyGenerator(context);
const secretKey = generator.secretKey();
const publicKey = generator.createPublicKey();
const relinKeys = generator.createRelinKeys();
const galoisKeys = generator.createGaloisKeys(Int32Array.from(program.galois_steps));
folder.save('secret_key.seal', secretKey);
folder.save('public_key.seal', publicKey);
folder.save('relin_keys.seal', relinKeys);
folder.save('galois_keys.seal', galoisKeys);

const encryptor = seal.Encryptor(context, publicKey, secretKey);
const values = new Map();
for (const input of program.inputs) {
  const plain = scheme.encode(folder.numbers(input.name + '.f64'), input.scale, input.level);
  const cipher = input.public_key ? encryptor.encrypt(plain) : encryptor.encryptSymmetric(plain);
  folder.save(input.name + '.plain.seal', plain);
  folder.save(input.name + '.seal', cipher);
  values.set(input.name, cipher);
  plain.delete();
}

for (const test of program.cases) {
  const operands = test.operands.map((name) => values.get(name));
  const plain = test.plain_scale === null ? null
    : scheme.encode(folder.numbers(test.name + '.plain.f64'), test.plain_scale, test.plain_level);
  const result = scheme.run(test, operands, plain, relinKeys, galoisKeys);
  if (plain !== null) folder.save(test.name + '.plain.seal', plain);
  folder.save(test.name + '.seal', result);
  values.set(test.name, result);
  plain?.delete();
}

// Objects with a seed for one half, and what SEAL expands them to.
const expand = (name, make, seeded) => {
  const bytes = save(seeded);
  folder.write(name + '.seeded.seal', bytes);
  folder.save(name + '.expanded.seal', scheme.load(make, bytes));
};
const plain = scheme.encode(folder.numbers(program.inputs[0].name + '.f64'), program.inputs[0].scale, 0);
expand('ciphertext', seal.CipherText, encryptor.encryptSymmetricSerializable(plain));
expand('public_key', seal.PublicKey, generator.createPublicKeySerializable());
expand('relin_keys', seal.RelinKeys, generator.createRelinKeysSerializable());
expand('galois_keys', seal.GaloisKeys, generator.createGaloisKeysSerializable(Int32Array.from([0])));
