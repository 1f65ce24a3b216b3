"""The resource types of FHIR R4 (4.0.1) that a hospital's imaging needs, as a table in the form of ``fhir_datatypes``.

Elements of every resource (``id meta implicitRules language text contained extension modifierExtension``) are not repeated.
For these types R4B (4.3.0) has the same elements, so its published models are an oracle for this table in the tests.
"""

from typing import Final

RESOURCES: Final = """
Patient
  active 0..1 boolean
  address 0..* Address
  birthDate 0..1 date
  communication 0..* Patient.communication
  contact 0..* Patient.contact
  gender 0..1 code male|female|other|unknown
  generalPractitioner 0..* Reference Organization|Practitioner|PractitionerRole
  identifier 0..* Identifier
  link 0..* Patient.link
  managingOrganization 0..1 Reference Organization
  maritalStatus 0..1 CodeableConcept
  name 0..* HumanName
  photo 0..* Attachment
  telecom 0..* ContactPoint
  deceased[x] 0..1 boolean|dateTime
  multipleBirth[x] 0..1 boolean|integer
Patient.communication
  language 1..1 CodeableConcept
  preferred 0..1 boolean
Patient.contact
  address 0..1 Address
  gender 0..1 code male|female|other|unknown
  name 0..1 HumanName
  organization 0..1 Reference Organization
  period 0..1 Period
  relationship 0..* CodeableConcept
  telecom 0..* ContactPoint
Patient.link
  other 1..1 Reference Patient|RelatedPerson
  type 1..1 code replaced-by|replaces|refer|seealso
Encounter
  account 0..* Reference Account
  appointment 0..* Reference Appointment
  basedOn 0..* Reference ServiceRequest
  classHistory 0..* Encounter.classHistory
  class 1..1 Coding
  diagnosis 0..* Encounter.diagnosis
  episodeOfCare 0..* Reference EpisodeOfCare
  hospitalization 0..1 Encounter.hospitalization
  identifier 0..* Identifier
  length 0..1 Quantity
  location 0..* Encounter.location
  partOf 0..1 Reference Encounter
  participant 0..* Encounter.participant
  period 0..1 Period
  priority 0..1 CodeableConcept
  reasonCode 0..* CodeableConcept
  reasonReference 0..* Reference Condition|Procedure|Observation|ImmunizationRecommendation
  serviceProvider 0..1 Reference Organization
  serviceType 0..1 CodeableConcept
  status 1..1 code planned|arrived|triaged|in-progress|onleave|finished|cancelled|entered-in-error|unknown
  statusHistory 0..* Encounter.statusHistory
  subject 0..1 Reference Patient|Group
  type 0..* CodeableConcept
Encounter.classHistory
  class 1..1 Coding
  period 1..1 Period
Encounter.diagnosis
  condition 1..1 Reference Condition|Procedure
  rank 0..1 positiveInt
  use 0..1 CodeableConcept
Encounter.hospitalization
  admitSource 0..1 CodeableConcept
  destination 0..1 Reference Location|Organization
  dietPreference 0..* CodeableConcept
  dischargeDisposition 0..1 CodeableConcept
  origin 0..1 Reference Location|Organization
  preAdmissionIdentifier 0..1 Identifier
  reAdmission 0..1 CodeableConcept
  specialArrangement 0..* CodeableConcept
  specialCourtesy 0..* CodeableConcept
Encounter.location
  location 1..1 Reference Location
  period 0..1 Period
  physicalType 0..1 CodeableConcept
  status 0..1 code planned|active|reserved|completed
Encounter.participant
  individual 0..1 Reference Practitioner|PractitionerRole|RelatedPerson
  period 0..1 Period
  type 0..* CodeableConcept
Encounter.statusHistory
  period 1..1 Period
  status 1..1 code planned|arrived|triaged|in-progress|onleave|finished|cancelled|entered-in-error|unknown
ServiceRequest
  authoredOn 0..1 dateTime
  basedOn 0..* Reference CarePlan|ServiceRequest|MedicationRequest
  bodySite 0..* CodeableConcept
  category 0..* CodeableConcept
  code 0..1 CodeableConcept
  doNotPerform 0..1 boolean
  encounter 0..1 Reference Encounter
  identifier 0..* Identifier
  instantiatesCanonical 0..* canonical
  instantiatesUri 0..* uri
  insurance 0..* Reference Coverage|ClaimResponse
  intent 1..1 code proposal|plan|directive|order|original-order|reflex-order|filler-order|instance-order|option
  locationCode 0..* CodeableConcept
  locationReference 0..* Reference Location
  note 0..* Annotation
  orderDetail 0..* CodeableConcept
  patientInstruction 0..1 string
  performer 0..* Reference Practitioner|PractitionerRole|Organization|CareTeam|HealthcareService|Patient|Device|RelatedPerson
  performerType 0..1 CodeableConcept
  priority 0..1 code routine|urgent|asap|stat
  reasonCode 0..* CodeableConcept
  reasonReference 0..* Reference Condition|Observation|DiagnosticReport|DocumentReference
  relevantHistory 0..* Reference Provenance
  replaces 0..* Reference ServiceRequest
  requester 0..1 Reference Practitioner|PractitionerRole|Organization|Patient|RelatedPerson|Device
  requisition 0..1 Identifier
  specimen 0..* Reference Specimen
  status 1..1 code draft|active|on-hold|revoked|completed|entered-in-error|unknown
  subject 1..1 Reference Patient|Group|Location|Device
  supportingInfo 0..* Reference Resource
  asNeeded[x] 0..1 boolean|CodeableConcept
  occurrence[x] 0..1 dateTime|Period|Timing
  quantity[x] 0..1 Quantity|Range|Ratio
Appointment
  appointmentType 0..1 CodeableConcept
  basedOn 0..* Reference ServiceRequest
  cancelationReason 0..1 CodeableConcept
  comment 0..1 string
  created 0..1 dateTime
  description 0..1 string
  end 0..1 instant
  identifier 0..* Identifier
  minutesDuration 0..1 positiveInt
  participant 1..* Appointment.participant
  patientInstruction 0..1 string
  priority 0..1 unsignedInt
  reasonCode 0..* CodeableConcept
  reasonReference 0..* Reference Condition|Procedure|Observation|ImmunizationRecommendation
  requestedPeriod 0..* Period
  serviceCategory 0..* CodeableConcept
  serviceType 0..* CodeableConcept
  slot 0..* Reference Slot
  specialty 0..* CodeableConcept
  start 0..1 instant
  status 1..1 code proposed|pending|booked|arrived|fulfilled|cancelled|noshow|entered-in-error|checked-in|waitlist
  supportingInformation 0..* Reference Resource
Appointment.participant
  actor 0..1 Reference Patient|Practitioner|PractitionerRole|RelatedPerson|Device|HealthcareService|Location
  period 0..1 Period
  required 0..1 code required|optional|information-only
  status 1..1 code accepted|declined|tentative|needs-action
  type 0..* CodeableConcept
Task
  authoredOn 0..1 dateTime
  basedOn 0..* Reference Resource
  businessStatus 0..1 CodeableConcept
  code 0..1 CodeableConcept
  description 0..1 string
  encounter 0..1 Reference Encounter
  executionPeriod 0..1 Period
  focus 0..1 Reference Resource
  for 0..1 Reference Resource
  groupIdentifier 0..1 Identifier
  identifier 0..* Identifier
  input 0..* Task.input
  instantiatesCanonical 0..1 canonical
  instantiatesUri 0..1 uri
  insurance 0..* Reference Coverage|ClaimResponse
  intent 1..1 code unknown|proposal|plan|order|original-order|reflex-order|filler-order|instance-order|option
  lastModified 0..1 dateTime
  location 0..1 Reference Location
  note 0..* Annotation
  output 0..* Task.output
  owner 0..1 Reference Practitioner|PractitionerRole|Organization|CareTeam|HealthcareService|Patient|Device|RelatedPerson
  partOf 0..* Reference Task
  performerType 0..* CodeableConcept
  priority 0..1 code routine|urgent|asap|stat
  reasonCode 0..1 CodeableConcept
  reasonReference 0..1 Reference Resource
  relevantHistory 0..* Reference Provenance
  requester 0..1 Reference Device|Organization|Patient|Practitioner|PractitionerRole|RelatedPerson
  restriction 0..1 Task.restriction
  status 1..1 code draft|requested|received|accepted|rejected|ready|cancelled|in-progress|on-hold|failed|completed|entered-in-error
  statusReason 0..1 CodeableConcept
Task.input
  type 1..1 CodeableConcept
  value[x] 1..1 *
Task.output
  type 1..1 CodeableConcept
  value[x] 1..1 *
Task.restriction
  period 0..1 Period
  recipient 0..* Reference Patient|Practitioner|PractitionerRole|RelatedPerson|Group|Organization
  repetitions 0..1 positiveInt
ImagingStudy
  basedOn 0..* Reference CarePlan|ServiceRequest|Appointment|AppointmentResponse|Task
  description 0..1 string
  encounter 0..1 Reference Encounter
  endpoint 0..* Reference Endpoint
  identifier 0..* Identifier
  interpreter 0..* Reference Practitioner|PractitionerRole
  location 0..1 Reference Location
  modality 0..* Coding
  note 0..* Annotation
  numberOfInstances 0..1 unsignedInt
  numberOfSeries 0..1 unsignedInt
  procedureCode 0..* CodeableConcept
  procedureReference 0..1 Reference Procedure
  reasonCode 0..* CodeableConcept
  reasonReference 0..* Reference Condition|Observation|Media|DiagnosticReport|DocumentReference
  referrer 0..1 Reference Practitioner|PractitionerRole
  series 0..* ImagingStudy.series
  started 0..1 dateTime
  status 1..1 code registered|available|cancelled|entered-in-error|unknown
  subject 1..1 Reference Patient|Device|Group
ImagingStudy.series
  bodySite 0..1 Coding
  description 0..1 string
  endpoint 0..* Reference Endpoint
  instance 0..* ImagingStudy.series.instance
  laterality 0..1 Coding
  modality 1..1 Coding
  number 0..1 unsignedInt
  numberOfInstances 0..1 unsignedInt
  performer 0..* ImagingStudy.series.performer
  specimen 0..* Reference Specimen
  started 0..1 dateTime
  uid 1..1 id
ImagingStudy.series.instance
  number 0..1 unsignedInt
  sopClass 1..1 Coding
  title 0..1 string
  uid 1..1 id
ImagingStudy.series.performer
  actor 1..1 Reference Practitioner|PractitionerRole|Organization|CareTeam|Patient|Device|RelatedPerson
  function 0..1 CodeableConcept
DiagnosticReport
  basedOn 0..* Reference CarePlan|ImmunizationRecommendation|MedicationRequest|NutritionOrder|ServiceRequest
  category 0..* CodeableConcept
  code 1..1 CodeableConcept
  conclusion 0..1 string
  conclusionCode 0..* CodeableConcept
  encounter 0..1 Reference Encounter
  identifier 0..* Identifier
  imagingStudy 0..* Reference ImagingStudy
  issued 0..1 instant
  media 0..* DiagnosticReport.media
  performer 0..* Reference Practitioner|PractitionerRole|Organization|CareTeam
  presentedForm 0..* Attachment
  result 0..* Reference Observation
  resultsInterpreter 0..* Reference Practitioner|PractitionerRole|Organization|CareTeam
  specimen 0..* Reference Specimen
  status 1..1 code registered|partial|preliminary|final|amended|corrected|appended|cancelled|entered-in-error|unknown
  subject 0..1 Reference Patient|Group|Device|Location|Organization|Procedure|Practitioner|Medication|Substance
  effective[x] 0..1 dateTime|Period
DiagnosticReport.media
  comment 0..1 string
  link 1..1 Reference Media
Observation
  basedOn 0..* Reference CarePlan|DeviceRequest|ImmunizationRecommendation|MedicationRequest|NutritionOrder|ServiceRequest
  bodySite 0..1 CodeableConcept
  category 0..* CodeableConcept
  code 1..1 CodeableConcept
  component 0..* Observation.component
  dataAbsentReason 0..1 CodeableConcept
  derivedFrom 0..* Reference DocumentReference|ImagingStudy|Media|QuestionnaireResponse|Observation|MolecularSequence
  device 0..1 Reference Device|DeviceMetric
  encounter 0..1 Reference Encounter
  focus 0..* Reference Resource
  hasMember 0..* Reference Observation|QuestionnaireResponse|MolecularSequence
  identifier 0..* Identifier
  interpretation 0..* CodeableConcept
  issued 0..1 instant
  method 0..1 CodeableConcept
  note 0..* Annotation
  partOf 0..* Reference MedicationAdministration|MedicationDispense|MedicationStatement|Procedure|Immunization|ImagingStudy
  performer 0..* Reference Practitioner|PractitionerRole|Organization|CareTeam|Patient|RelatedPerson
  referenceRange 0..* Observation.referenceRange
  specimen 0..1 Reference Specimen
  status 1..1 code registered|preliminary|final|amended|corrected|cancelled|entered-in-error|unknown
  subject 0..1 Reference Patient|Group|Device|Location|Organization|Procedure|Practitioner|Medication|Substance
  effective[x] 0..1 dateTime|instant|Period|Timing
  value[x] 0..1 boolean|CodeableConcept|dateTime|integer|Period|Quantity|Range|Ratio|SampledData|string|time
Observation.component
  code 1..1 CodeableConcept
  dataAbsentReason 0..1 CodeableConcept
  interpretation 0..* CodeableConcept
  referenceRange 0..* Observation.referenceRange
  value[x] 0..1 boolean|CodeableConcept|dateTime|integer|Period|Quantity|Range|Ratio|SampledData|string|time
Observation.referenceRange
  age 0..1 Range
  appliesTo 0..* CodeableConcept
  high 0..1 Quantity
  low 0..1 Quantity
  text 0..1 string
  type 0..1 CodeableConcept
AuditEvent
  action 0..1 code C|R|U|D|E
  agent 1..* AuditEvent.agent
  entity 0..* AuditEvent.entity
  outcome 0..1 code 0|4|8|12
  outcomeDesc 0..1 string
  period 0..1 Period
  purposeOfEvent 0..* CodeableConcept
  recorded 1..1 instant
  source 1..1 AuditEvent.source
  subtype 0..* Coding
  type 1..1 Coding
AuditEvent.agent
  altId 0..1 string
  location 0..1 Reference Location
  media 0..1 Coding
  name 0..1 string
  network 0..1 AuditEvent.agent.network
  policy 0..* uri
  purposeOfUse 0..* CodeableConcept
  requestor 1..1 boolean
  role 0..* CodeableConcept
  type 0..1 CodeableConcept
  who 0..1 Reference PractitionerRole|Practitioner|Organization|Device|Patient|RelatedPerson
AuditEvent.entity
  description 0..1 string
  detail 0..* AuditEvent.entity.detail
  lifecycle 0..1 Coding
  name 0..1 string
  query 0..1 base64Binary
  role 0..1 Coding
  securityLabel 0..* Coding
  type 0..1 Coding
  what 0..1 Reference Resource
AuditEvent.source
  observer 1..1 Reference PractitionerRole|Practitioner|Organization|Device|Patient|RelatedPerson
  site 0..1 string
  type 0..* Coding
AuditEvent.agent.network
  address 0..1 string
  type 0..1 code 1|2|3|4|5
AuditEvent.entity.detail
  type 1..1 string
  value[x] 1..1 base64Binary|string
Subscription
  channel 1..1 Subscription.channel
  contact 0..* ContactPoint
  criteria 1..1 string
  end 0..1 instant
  error 0..1 string
  reason 1..1 string
  status 1..1 code requested|active|error|off
Subscription.channel
  endpoint 0..1 url
  header 0..* string
  payload 0..1 code
  type 1..1 code rest-hook|websocket|email|sms|message
Bundle
  entry 0..* Bundle.entry
  identifier 0..1 Identifier
  link 0..* Bundle.link
  signature 0..1 Signature
  timestamp 0..1 instant
  total 0..1 unsignedInt
  type 1..1 code document|message|transaction|transaction-response|batch|batch-response|history|searchset|collection
Bundle.entry
  fullUrl 0..1 uri
  link 0..* Bundle.link
  request 0..1 Bundle.entry.request
  resource 0..1 Resource
  response 0..1 Bundle.entry.response
  search 0..1 Bundle.entry.search
Bundle.link
  relation 1..1 string
  url 1..1 uri
Bundle.entry.request
  ifMatch 0..1 string
  ifModifiedSince 0..1 instant
  ifNoneExist 0..1 string
  ifNoneMatch 0..1 string
  method 1..1 code GET|HEAD|POST|PUT|DELETE|PATCH
  url 1..1 uri
Bundle.entry.response
  etag 0..1 string
  lastModified 0..1 instant
  location 0..1 uri
  outcome 0..1 Resource
  status 1..1 string
Bundle.entry.search
  mode 0..1 code match|include|outcome
  score 0..1 decimal
"""
