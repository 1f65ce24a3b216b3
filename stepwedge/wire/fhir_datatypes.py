"""The data types of FHIR R4 (4.0.1) that our resources are made of, as a table (hl7.org/fhir/R4/datatypes.html).

A line is ``name cardinality type`` and, for a code with a required binding, its values, or for a reference its targets.
``[x]`` marks a choice of types; ``*`` as type stands for any. ``id`` and ``extension`` are allowed everywhere and not repeated.
"""

from typing import Final

DATATYPES: Final = """
Identifier
  assigner 0..1 Reference Organization
  period 0..1 Period
  system 0..1 uri
  type 0..1 CodeableConcept
  use 0..1 code usual|official|temp|secondary|old
  value 0..1 string
HumanName
  family 0..1 string
  given 0..* string
  period 0..1 Period
  prefix 0..* string
  suffix 0..* string
  text 0..1 string
  use 0..1 code usual|official|temp|nickname|anonymous|old|maiden
Address
  city 0..1 string
  country 0..1 string
  district 0..1 string
  line 0..* string
  period 0..1 Period
  postalCode 0..1 string
  state 0..1 string
  text 0..1 string
  type 0..1 code postal|physical|both
  use 0..1 code home|work|temp|old|billing
ContactPoint
  period 0..1 Period
  rank 0..1 positiveInt
  system 0..1 code phone|fax|email|pager|url|sms|other
  use 0..1 code home|work|temp|old|mobile
  value 0..1 string
CodeableConcept
  coding 0..* Coding
  text 0..1 string
Coding
  code 0..1 code
  display 0..1 string
  system 0..1 uri
  userSelected 0..1 boolean
  version 0..1 string
Reference
  display 0..1 string
  identifier 0..1 Identifier
  reference 0..1 string
  type 0..1 uri
Period
  end 0..1 dateTime
  start 0..1 dateTime
Quantity
  code 0..1 code
  comparator 0..1 code <|<=|>=|>
  system 0..1 uri
  unit 0..1 string
  value 0..1 decimal
Range
  high 0..1 Quantity
  low 0..1 Quantity
Ratio
  denominator 0..1 Quantity
  numerator 0..1 Quantity
Timing
  code 0..1 CodeableConcept
  event 0..* dateTime
  repeat 0..1 Timing.repeat
Annotation
  text 1..1 markdown
  time 0..1 dateTime
  author[x] 0..1 Reference(Practitioner,Patient,RelatedPerson,Organization)|string
Attachment
  contentType 0..1 code
  creation 0..1 dateTime
  data 0..1 base64Binary
  hash 0..1 base64Binary
  size 0..1 unsignedInt
  title 0..1 string
  url 0..1 url
Meta
  lastUpdated 0..1 instant
  profile 0..* canonical
  security 0..* Coding
  source 0..1 uri
  tag 0..* Coding
  versionId 0..1 id
Narrative
  div 1..1 xhtml
  status 1..1 code generated|extensions|additional|empty
SampledData
  data 0..1 string
  dimensions 1..1 positiveInt
  factor 0..1 decimal
  lowerLimit 0..1 decimal
  origin 1..1 Quantity
  period 1..1 decimal
  upperLimit 0..1 decimal
Timing.repeat
  count 0..1 positiveInt
  countMax 0..1 positiveInt
  dayOfWeek 0..* code mon|tue|wed|thu|fri|sat|sun
  duration 0..1 decimal
  durationMax 0..1 decimal
  durationUnit 0..1 code s|min|h|d|wk|mo|a
  frequency 0..1 positiveInt
  frequencyMax 0..1 positiveInt
  offset 0..1 unsignedInt
  period 0..1 decimal
  periodMax 0..1 decimal
  periodUnit 0..1 code s|min|h|d|wk|mo|a
  timeOfDay 0..* time
  when 0..* code
  bounds[x] 0..1 Quantity|Period|Range
Signature
  type 1..* Coding
  when 1..1 instant
  who 1..1 Reference Practitioner|PractitionerRole|RelatedPerson|Patient|Device|Organization
  onBehalfOf 0..1 Reference Practitioner|PractitionerRole|RelatedPerson|Patient|Device|Organization
  targetFormat 0..1 code
  sigFormat 0..1 code
  data 0..1 base64Binary
Money
  value 0..1 decimal
  currency 0..1 code
"""
